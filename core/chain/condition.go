package chain

import "strings"

// Health is a stage that can be away, such as a plugin. Health returns nil
// while it is up, else why it is not. It is called concurrently with everything
// else, by readiness checks, and must not wait.
type Health interface {
	Health() error
}

// Condition is a link whose stage is down.
type Condition struct {
	Link     string
	Required bool  // the broker is not ready without it
	Err      error // why, for the log and the operator, not for strangers
}

// Conditions returns the links whose stages are down, in order; usually none.
// It may be called at any time.
func (c *Chain) Conditions() []Condition {
	var down []Condition
	for _, l := range c.links {
		if err := l.health(); err != nil {
			down = append(down, Condition{l.name, l.required, err})
		}
	}
	return down
}

// health asks the stage, which is up unless it says otherwise. A panic is a way
// of saying so.
func (l *Link) health() (err error) {
	h, ok := l.stage.(Health)
	if !ok {
		return nil
	}
	defer contain(&err)
	return h.Health()
}

// condition says the same in words, on one line.
func (l *Link) condition() string {
	if err := l.health(); err != nil {
		return "down: " + strings.Join(strings.Fields(err.Error()), " ")
	}
	return "up"
}

package supervise

import (
	"context"
	"log/slog"
	"time"

	"github.com/claudemesh/broker/core/pluginhost/process"
)

// Life is what a supervisor needs of a [process.Process].
type Life interface {
	Done() <-chan struct{} // closed when it has ended
	Exit() process.Exit    // how; read after Done is closed
	Kill()                 // ends it at once, without waiting
	Stop(ctx context.Context) error
}

var _ Life = (*process.Process)(nil)

// Options say what is supervised. Its functions are called one at a time, always
// from the supervisor's goroutine, and must not call its Start or Stop.
type Options struct {
	// Name returns what the plugin is called now, for logs and for what to type.
	Name func() string

	// Start starts a life. It returns soon after ctx is over.
	Start func(ctx context.Context) (Life, error)

	// Up makes a life useful after its start. An error counts as a crash and
	// ends the life. It has to end when the life does, but has no other limit:
	// calls in it need deadlines. May be nil.
	Up func(Life) error

	// Down is called once for each Up that succeeded, after the life has ended
	// and before the next one starts. The error is nil after Stop. May be nil.
	Down func(exit error)

	// Rest is called when the next life does not start at once, with how the
	// last one ended and when it will; the zero time waits for Resume. May be
	// nil.
	Rest func(why error, next time.Time)

	Restart Restart // the zero value takes the default of each field
	Log     *slog.Logger
}

// Restart is when a plugin that has ended is started again. The first crash
// after a quiet time is answered at once, since most have nothing to do with
// the plugin's next minutes; the second waits for First, each further one twice
// as long as the one before.
type Restart struct {
	First   time.Duration // 50 ms
	Most    time.Duration // 30 s, before jitter
	Jitter  float64       // 0.2: up to 20 % more or less; below 0: none
	Reset   time.Duration // 60 s: a life that was up so long makes the next crash a first one
	Crashes int           // 5: so many ...
	Within  time.Duration // 60 s: ... in so long a time are a loop, which is quarantined
}

func (r Restart) withDefaults() Restart {
	if r.First <= 0 {
		r.First = 50 * time.Millisecond
	}
	if r.Most <= 0 {
		r.Most = 30 * time.Second
	}
	if r.Jitter == 0 {
		r.Jitter = 0.2
	}
	r.Jitter = max(r.Jitter, 0)
	if r.Reset <= 0 {
		r.Reset = time.Minute
	}
	if r.Crashes <= 0 {
		r.Crashes = 5
	}
	if r.Within <= 0 {
		r.Within = time.Minute
	}
	return r
}

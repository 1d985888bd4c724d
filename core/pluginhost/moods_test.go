package pluginhost_test

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
)

// both is the drill that also observes.
type both struct{ *drill }

func newBoth(o drillOptions) (both, error) { return both{&drill{o}}, nil }

func (both) Done(*sdk.Envelope, sdk.Outcome) {}

// moodyOptions say how the moody stage starts.
type moodyOptions struct {
	File string          `json:"file" doc:"a file without which it does not start; empty for none"`
	Exit bool            `json:"exit" doc:"the process ends when the file is not there"`
	Slow plugin.Duration `json:"slow" doc:"how long a start takes"`
}

// moody is a drill that needs something when it starts: a database, say, which
// may be away.
type moody struct {
	drill
	moods moodyOptions
}

func newMoody(o moodyOptions) (*moody, error) { return &moody{moods: o}, nil }

func (m *moody) Start(ctx context.Context) error {
	select {
	case <-time.After(time.Duration(m.moods.Slow)):
	case <-ctx.Done():
		return ctx.Err()
	}
	if m.moods.File == "" {
		return nil
	}
	if _, err := os.Stat(m.moods.File); err == nil {
		return nil
	}
	if m.moods.Exit {
		os.Exit(7)
	}
	return errors.New("the database is away")
}

package store

import (
	"context"
	"time"
)

// Clock is the simulated time of a mesh. It is counted from a moment at which it
// was known, so that it runs on every node without anybody writing.
type Clock struct {
	MeshID    string
	Speed     float64 // simulated seconds a second
	Paused    bool
	Since     time.Time // when it was Tick ticks, and began to run so
	Tick      int64     // a tick is a simulated minute
	StartedAt time.Time // simulated and real time of tick 0
}

// tickTime is a tick in simulated time.
const tickTime = time.Minute

// ran returns how many ticks the clock has gone on since Since.
func (c *Clock) ran(now time.Time) float64 {
	if c.Paused {
		return 0
	}
	return max(now.Sub(c.Since).Seconds()*c.Speed/tickTime.Seconds(), 0)
}

// TickAt returns how many ticks the clock has at a time.
func (c *Clock) TickAt(now time.Time) int64 { return c.Tick + int64(c.ran(now)) }

// TimeOf returns the simulated time of a tick.
func (c *Clock) TimeOf(tick int64) time.Time { return c.StartedAt.Add(time.Duration(tick) * tickTime) }

// Changed returns the clock as it goes on from now: what has run of a tick is kept,
// so that nobody stops the clock by setting it again and again.
func (c *Clock) Changed(now time.Time, speed float64, paused bool) *Clock {
	next := *c
	next.Tick, next.Speed, next.Paused, next.Since = c.TickAt(now), speed, paused, now
	if !paused {
		part := c.ran(now) - float64(int64(c.ran(now)))
		next.Since = now.Add(-time.Duration(part / speed * float64(tickTime)))
	}
	next.Since = next.Since.Truncate(time.Millisecond)
	return &next
}

// Clocks keeps the clocks of meshes.
type Clocks interface {
	// Clock returns the clock of a mesh. ErrNotFound.
	Clock(ctx context.Context, mesh string) (*Clock, error)

	// RunningClocks returns the clocks that are not paused, by mesh.
	RunningClocks(ctx context.Context) ([]*Clock, error)

	// SetClock writes a clock in place of old, nil for none. ErrConflict, and
	// nothing is written, when that is not what is there.
	SetClock(ctx context.Context, c, old *Clock) error

	// TellTick reports, for one of all that ask, that peers are to be told of a tick:
	// nobody has told them of it, nor of another one of the step ticks that it is of,
	// nor of any tick within the gap, whatever the steps were then.
	TellTick(ctx context.Context, t *Tick) (first bool, err error)
}

// Tick is a tick that peers may be told of.
type Tick struct {
	MeshID string
	Number int64
	Step   int64 // how many ticks they are told of once
	At     time.Time
	Gap    time.Duration
}

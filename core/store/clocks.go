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

// Clocks keeps the clocks of meshes.
type Clocks interface {
	// Clock returns the clock of a mesh. ErrNotFound.
	Clock(ctx context.Context, mesh string) (*Clock, error)

	// RunningClocks returns the clocks that are not paused, by mesh.
	RunningClocks(ctx context.Context) ([]*Clock, error)

	// SetClock writes a clock in place of old, nil for none. ErrConflict, and
	// nothing is written, when that is not what is there.
	SetClock(ctx context.Context, c, old *Clock) error
}

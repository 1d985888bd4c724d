package feature

import (
	"context"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Limits of clocks.
const (
	slowestClock = 1
	fastestClock = 100
	clockTries   = 16 // how often a change is tried that others got in the way of

	// tellEvery is the least time from one tick that peers are told of to the next:
	// at x100 nine ticks pass meanwhile.
	tellEvery = 5 * time.Second

	// tellGap is what is left of it however often the speed is changed: a little
	// less, since who tells looks once a second.
	tellGap = 4 * time.Second
)

// ReasonNoClock refuses what needs a clock in a mesh that has none.
const ReasonNoClock sdk.Reason = "no_clock"

// ClockStore keeps clocks.
type ClockStore interface {
	Clock(ctx context.Context, mesh string) (*store.Clock, error)
	SetClock(ctx context.Context, c, old *store.Clock) error
}

// Clocks gives meshes a simulated time. Who tells of its ticks is in package app.
func Clocks(r *Registry, st ClockStore) {
	k := &clocks{store: st}
	On(r, k.set).Needs(store.CanWriteState)
	On(r, k.pause).Needs(store.CanWriteState)
	On(r, k.resume).Needs(store.CanWriteState)
	On(r, k.get).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		none := noClock(time.Now())
		none.Error = worded(why, text)
		return none
	})
}

type clocks struct{ store ClockStore }

// noClock is the status of a mesh without a clock.
func noClock(now time.Time) wire.ClockStatus {
	return wire.ClockStatus{Paused: true, SimTime: now, StartedAt: now}
}

func clockStatus(c *store.Clock, now time.Time) wire.ClockStatus {
	tick := c.TickAt(now)
	return wire.ClockStatus{Speed: c.Speed, Paused: c.Paused, Tick: tick, SimTime: c.TimeOf(tick), StartedAt: c.StartedAt}
}

// set starts a clock, or changes its speed.
func (k *clocks) set(ctx context.Context, c *Call, m *wire.SetClock) (wire.ClockStatus, error) {
	speed := 1.0
	if m.Speed != nil && *m.Speed != 0 {
		speed = min(max(*m.Speed, slowestClock), fastestClock)
	}
	return k.change(ctx, c, "clock_set", func(old *store.Clock, now time.Time) (*store.Clock, error) {
		if old == nil {
			return &store.Clock{MeshID: c.Env.Mesh, Speed: speed, Since: now, StartedAt: now}, nil
		}
		return old.Changed(now, speed, old.Paused), nil
	})
}

func (k *clocks) pause(ctx context.Context, c *Call, _ *wire.PauseClock) (wire.ClockStatus, error) {
	return k.change(ctx, c, "clock_paused", func(old *store.Clock, now time.Time) (*store.Clock, error) { return toPaused(old, now, true) })
}

func (k *clocks) resume(ctx context.Context, c *Call, _ *wire.ResumeClock) (wire.ClockStatus, error) {
	return k.change(ctx, c, "clock_resumed", func(old *store.Clock, now time.Time) (*store.Clock, error) { return toPaused(old, now, false) })
}

// toPaused returns a clock that is paused, or runs; the same one when it is so
// already.
func toPaused(old *store.Clock, now time.Time, paused bool) (*store.Clock, error) {
	switch {
	case old == nil:
		return nil, core.Refuse(ReasonNoClock, "No clock running for this mesh: start one with set_clock")
	case old.Paused == paused:
		return old, nil
	}
	return old.Changed(now, old.Speed, paused), nil
}

// change writes what edit makes of the mesh's clock, nil for none, over what edit
// has seen.
func (k *clocks) change(
	ctx context.Context, c *Call, event string, edit func(old *store.Clock, now time.Time) (*store.Clock, error),
) (wire.ClockStatus, error) {
	for range clockTries {
		old, err := k.store.Clock(ctx, c.Env.Mesh)
		if errors.Is(err, store.ErrNotFound) {
			old, err = nil, nil
		}
		if err != nil {
			return wire.ClockStatus{}, core.Unavailable(err)
		}
		now := time.Now().Truncate(time.Millisecond)
		next, err := edit(old, now)
		if err != nil {
			return wire.ClockStatus{}, err
		}
		if next == old {
			return clockStatus(old, now), nil
		}
		err = k.store.SetClock(ctx, next, old)
		switch {
		case err == nil:
			c.Env.Records = append(c.Env.Records, sdk.Record{Event: event, Payload: audit.Object(
				audit.String("speed", strconv.FormatFloat(next.Speed, 'g', -1, 64)))})
			return clockStatus(next, now), nil
		case !errors.Is(err, store.ErrConflict):
			return wire.ClockStatus{}, core.Unavailable(err)
		}
	}
	return wire.ClockStatus{}, core.Refuse(sdk.ReasonUnavailable, "many change the clock at once: try again in a moment")
}

// get returns the simulated time.
func (k *clocks) get(ctx context.Context, c *Call, _ *wire.GetClock) (wire.ClockStatus, error) {
	now := time.Now()
	row, err := k.store.Clock(ctx, c.Env.Mesh)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return noClock(now), nil
	case err != nil:
		return wire.ClockStatus{}, core.Unavailable(err)
	}
	return clockStatus(row, now), nil
}

// TickOf returns the tick of a clock that peers may be told of now.
func TickOf(c *store.Clock, now time.Time) *store.Tick {
	step := max(1, int64(math.Ceil(tellEvery.Minutes()*c.Speed)))
	return &store.Tick{MeshID: c.MeshID, Number: c.TickAt(now), Step: step, At: now, Gap: tellGap}
}

package schedule

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/telemetry"
)

const (
	// poll is how often the store is asked when the next schedule is due: another
	// node may have written it, or have died while it fired one.
	poll = 2 * time.Second

	// slots is how many schedules a node fires at once. One takes as long as the
	// chain does, plugins included; the others wait on disk.
	slots = 16

	// lease is how long a claim holds. Whoever cancels a schedule whose claim is
	// over has to be sure that nobody is at it any more, so it is well above
	// sendTimeout and what the store may take.
	lease = 2 * time.Minute

	// sendTimeout is how long the chain may take for one.
	sendTimeout = 20 * time.Second

	// sweepEvery is how often schedules are ended and deleted that nobody needs.
	sweepEvery = 10 * time.Minute

	// Keep is how long a schedule can be listed after its end.
	Keep = 7 * 24 * time.Hour

	pruneBatch = 1000
	lockSweep  = "sweep of schedules"
)

// Store is what a runner reads and writes.
type Store interface {
	ChangeSchedule(ctx context.Context, mesh, id string, change func(*store.Schedule) error) (*store.Schedule, error)
	NextSchedule(ctx context.Context) (time.Time, error)
	ClaimSchedules(ctx context.Context, claim string, now, until time.Time, limit int) ([]*store.Schedule, error)
	EndSchedules(ctx context.Context, now time.Time, why string) (int64, error)
	PruneSchedules(ctx context.Context, before time.Time, limit int) (int64, error)
}

// Members knows who creators are.
type Members interface {
	MemberByID(ctx context.Context, id string) (*store.Member, error)
}

// Options are what a runner works with.
type Options struct {
	Store   Store
	Members Members
	Texts   Texts

	// Send has an occurrence sent, and returns when it is on disk. A refusal is a
	// [*core.Error].
	Send func(ctx context.Context, o *Occurrence) error

	// Ready reports whether this node may fire now.
	Ready func() bool

	// Alone runs f unless another node runs what has the same name.
	Alone func(ctx context.Context, name string, f func(context.Context) error) error

	Now func() time.Time
	Log *slog.Logger
}

// Counters count what a node has fired since its start.
type Counters struct {
	Sent    atomic.Int64 // accepted in time
	Late    atomic.Int64 // accepted a minute or more after it was due
	Again   atomic.Int64 // refused for the moment, to be tried again
	Refused atomic.Int64 // refused for good

	Lateness telemetry.Histogram // from when one was due until it was accepted
}

// Runner fires the schedules of all meshes. Make it with New; Run it once.
type Runner struct {
	options  Options
	Counters Counters

	wake   chan struct{} // holds one word that something may be due
	gone   atomic.Bool   // somebody was revoked whose schedules have not ended yet
	free   chan struct{} // holds one word that a slot is free
	busy   atomic.Int64
	firing sync.WaitGroup
	silent bool // the store is away, and that was said; owned by Run
}

// New returns a runner.
func New(o Options) *Runner {
	return &Runner{options: o, wake: make(chan struct{}, 1), free: make(chan struct{}, 1)}
}

// Wake tells the runner that a schedule was written, which may be due before it
// would look. It may be called concurrently, and never waits.
func (r *Runner) Wake() { signal(r.wake) }

// Revoked tells the runner that a member was revoked: its schedules end within
// some seconds. It may be called concurrently, and never waits.
func (r *Runner) Revoked() {
	r.gone.Store(true)
	r.Wake()
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run fires what is due until ctx ends, and returns when what it has begun is
// written down.
func (r *Runner) Run(ctx context.Context) {
	defer r.firing.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	swept := time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		case <-r.free:
		case <-timer.C:
		}
		if since := time.Since(swept); since > sweepEvery || since > poll && r.gone.Load() {
			swept = time.Now()
			r.failed(ctx, r.sweep(ctx))
		}
		wait, err := r.step(ctx)
		r.failed(ctx, err)
		timer.Reset(wait)
	}
}

// failed says that the store is away, once.
func (r *Runner) failed(ctx context.Context, err error) {
	if err != nil && !r.silent && ctx.Err() == nil {
		r.options.Log.Warn("schedules are not looked after", slog.Any("err", err))
	}
	r.silent = err != nil
}

// step claims what is due and begins to fire it. It returns how long nothing more
// is to be done.
func (r *Runner) step(ctx context.Context) (wait time.Duration, err error) {
	room := slots - int(r.busy.Load())
	if !r.options.Ready() || room <= 0 {
		return poll, nil
	}
	next, err := r.options.Store.NextSchedule(ctx)
	if err != nil || next.IsZero() {
		return poll, err
	}
	now := r.options.Now()
	if early := next.Sub(now); early > 0 {
		return min(early, poll), nil
	}
	claim := identity.NewID()
	list, err := r.options.Store.ClaimSchedules(ctx, claim, now, now.Add(lease), room)
	if err != nil {
		return poll, err
	}
	for _, row := range list {
		r.busy.Add(1)
		r.firing.Go(func() {
			defer signal(r.free)
			defer r.busy.Add(-1)
			r.fire(ctx, row)
		})
	}
	if len(list) == 0 {
		return poll / 8, nil // another node has them
	}
	return 0, nil
}

// sweep ends the schedules of who is gone, and deletes those that have ended long
// ago.
func (r *Runner) sweep(ctx context.Context) error {
	if !r.options.Ready() {
		return nil
	}
	return r.options.Alone(ctx, lockSweep, func(ctx context.Context) error {
		now := r.options.Now()
		gone := r.gone.Swap(false)
		if _, err := r.options.Store.EndSchedules(ctx, now, textGone); err != nil {
			r.gone.CompareAndSwap(false, gone)
			return err
		}
		for {
			n, err := r.options.Store.PruneSchedules(ctx, now.Add(-Keep), pruneBatch)
			if err != nil || n < pruneBatch {
				return err
			}
		}
	})
}

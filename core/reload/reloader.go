package reload

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/sdk"
)

// startTime bounds the start of a new chain.
const startTime = 2 * time.Minute

// Loaded is a config, and the file that it was made of.
type Loaded struct {
	Config   config.Config
	File     string // absolute; empty when there is none
	SHA256   string // of the file's content, in hex; empty when it could not be read
	Warnings []string
}

// Chains is the broker whose chain is replaced.
type Chains interface {
	// Config returns the config that is in effect.
	Config() config.Config

	// CheckReload returns what would change, and changes nothing.
	CheckReload(ctx context.Context, c config.Config) (changes []string, err error)

	// Reload replaces the chain, or returns why the old one goes on. ctx bounds
	// the start; drain is called once and ends the old chain.
	Reload(ctx context.Context, c config.Config) (changes []string, drain func(context.Context) error, err error)
}

// Options are what a Reloader works with.
type Options struct {
	First  Loaded                 // what the broker was started with
	Load   func() (Loaded, error) // reads the config again; File and SHA256 are set after an error too
	Chains Chains
	Log    *slog.Logger
}

// Reloader replaces the chain of a serving broker. Run does the work; all other
// methods may be called concurrently.
type Reloader struct {
	options  Options
	settings config.Reload // of the first config: these keys need a restart
	log      *slog.Logger

	wake chan struct{} // holds one wake-up for Run
	news chan struct{} // holds one wake-up for Watch: tried is another
	over chan struct{} // closed when Run has ended

	mu      sync.Mutex
	next    *round // waits for the load under way; everybody who asks joins it
	history history
	tried   sums // what the last load read: only what differs from it is a change
	running sums // what the chain that runs was made of
}

// New returns the Reloader of a broker whose first chain has just started.
func New(o Options) *Reloader {
	r := &Reloader{
		options: o, settings: o.First.Config.Reload, log: o.Log,
		wake: make(chan struct{}, 1), news: make(chan struct{}, 1), over: make(chan struct{}), history: newHistory(o.First.SHA256),
	}
	r.tried = filesOf(o.First)
	r.running = r.tried
	return r
}

// round is one load. Whoever asks while it waits shares it, because it will read
// the files after all of them have asked.
type round struct {
	// Guarded by Reloader.mu, until Run takes the round.
	by     admin.Trigger // of the newest request
	forced bool          // somebody asked who wants a load whether or not the content changed

	runs chan struct{} // closed when the new chain runs, or was refused
	ends chan struct{} // closed when the old chain has ended too

	// Set before runs is closed.
	answer admin.Reload
	err    error

	// Set before ends is closed: how the old chain ended.
	late error
}

// Trigger asks for a load and does not wait for it. What becomes of it is in the
// log, and in [Reloader.Loaded].
func (r *Reloader) Trigger(by admin.Trigger) { r.ask(by) }

// Reload is the operator's command. It returns when the new chain runs, or with
// o.Wait when the last envelope has left the old one. The config that it answers
// for was read after the call. ctx ends the wait, and not the load.
func (r *Reloader) Reload(ctx context.Context, o admin.ReloadOptions) (*admin.Reload, error) {
	if o.DryRun {
		return r.check(ctx)
	}
	load := r.ask(admin.ByCommand)
	until := load.runs
	if o.Wait {
		until = load.ends
	}
	select {
	case <-until:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-r.over:
		select {
		case <-until: // it was done before the end
		default:
			return nil, core.Refuse(sdk.ReasonShuttingDown, "the broker is stopping: it reads its config when it starts again")
		}
	}
	switch {
	case load.err != nil:
		return nil, load.err
	case o.Wait && load.late != nil:
		return nil, notDrained(load.answer.Generation, load.late)
	}
	answer := load.answer
	answer.Drained = o.Wait
	return &answer, nil
}

// ask returns the round that does what is asked for now.
func (r *Reloader) ask(by admin.Trigger) *round {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == nil {
		r.next = &round{runs: make(chan struct{}), ends: make(chan struct{})}
	}
	r.next.by = by
	r.next.forced = r.next.forced || by != admin.ByFile
	tell(r.wake)
	return r.next
}

// tell leaves a wake-up, unless there is one.
func tell(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take returns the round that waits; nil when there is none.
func (r *Reloader) take() *round {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := r.next
	r.next = nil
	return next
}

// Run does what is asked for until ctx ends, which also ends the start of a new
// chain. It returns when the last old chain has ended. Call it once.
func (r *Reloader) Run(ctx context.Context) {
	defer close(r.over)
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		}
		if ctx.Err() != nil {
			return
		}
		if next := r.take(); next != nil {
			r.do(ctx, next)
		}
	}
}

// do loads, and ends the old chain before the next load may begin: at most two
// chains live at a time.
func (r *Reloader) do(ctx context.Context, load *round) {
	defer close(load.ends)
	var drain func(context.Context) error
	if load.forced || r.changed() {
		load.answer, drain, load.err = r.load(ctx, load.by)
	}
	close(load.runs)
	if drain == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.settings.DrainTimeout)
	defer cancel()
	if load.late = drain(ctx); load.late != nil {
		r.log.Warn("the old chain did not end well", slog.Uint64("generation", load.answer.Generation-1), slog.Any("err", load.late))
	}
}

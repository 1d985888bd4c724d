package webhookaudit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// Version is that of the program, for the User-Agent.
const Version = "1.0.0"

// lockEvery is how often the lock of the spill directory is tried.
const lockEvery = 50 * time.Millisecond

// Observer is an sdk.Observer that posts outcomes. Done may be called
// concurrently, and never waits.
type Observer struct {
	// Set by newObserver, never changed.
	o      Options
	wanted [256]bool // by verdict
	to     *endpoint
	log    *slog.Logger // nil: the default one at the time

	intake *intake

	// Set by Start.
	logs      context.Context // of what is logged: names the link
	ctx       context.Context // ends when Stop has waited enough
	cancel    context.CancelFunc
	stopping  chan struct{} // closed when Stop begins
	collected chan struct{} // closed when the last batch is in the queue
	ended     chan struct{} // closed when nothing runs any more
	more      chan struct{} // tells the poster of a new batch

	saidMissed time.Time // owned by who calls Missed

	lost      atomic.Uint64 // events that no batch has told of yet
	allLost   atomic.Uint64
	delivered atomic.Uint64
	refused   atomic.Uint64
	missed    atomic.Uint64
	stopped   atomic.Bool
}

// Stats counts events since Start.
type Stats struct {
	Delivered uint64 // taken by the endpoint
	Refused   uint64 // refused by it for good
	Lost      uint64 // dropped because of a bound, damaged on disk, or missed
	Missed    uint64 // of those, left out by the broker
}

// New makes an observer that tells of senders and targets what the broker shows.
func New(o Options) (*Observer, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	secret, errSecret := o.secret()
	roots, errRoots := o.authorities()
	if err := errors.Join(errSecret, errRoots); err != nil {
		return nil, err
	}
	w := &Observer{
		o: o, to: newEndpoint(&o, secret, roots), logs: context.Background(),
		intake:   newIntake(int(o.MemoryMax/2), o.MaxEvents),
		stopping: make(chan struct{}), collected: make(chan struct{}), ended: make(chan struct{}),
		more: make(chan struct{}, 1),
	}
	for _, name := range o.Verdicts {
		v, _ := verdictOf(name) // Validate has looked
		w.wanted[v] = true
	}
	return w, nil
}

// Kinds says which kinds the config wants.
func (w *Observer) Kinds() []sdk.Kind { return slices.Clone(w.o.Kinds) }

// Stats returns the counts so far.
func (w *Observer) Stats() Stats {
	return Stats{Delivered: w.delivered.Load(), Refused: w.refused.Load(), Lost: w.allLost.Load(), Missed: w.missed.Load()}
}

// Start makes the spill directory and begins to post. It does not wait for the
// endpoint: one that is away when the broker starts is an outage as any other.
func (w *Observer) Start(ctx context.Context) error {
	if dir := w.o.SpillDir; dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("spill_dir: %w", err)
		}
		f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return fmt.Errorf("spill_dir: %w", err)
		}
		if err := f.Close(); err != nil {
			return fmt.Errorf("spill_dir: %w", err)
		}
	}
	w.logs = context.WithoutCancel(ctx)
	w.ctx, w.cancel = context.WithCancel(w.logs)
	w.intake.begin()
	go w.run()
	return nil
}

// Done takes one outcome.
func (w *Observer) Done(env *sdk.Envelope, out sdk.Outcome) {
	if !w.wanted[out.Decision.Verdict] {
		return
	}
	event, err := appendEvent(nil, env, &out)
	if err != nil {
		w.lose(1)
		w.logger().ErrorContext(w.logs, "an outcome is not expressible as JSON", slog.Any("err", err))
		return
	}
	w.intake.add(event)
}

// Missed counts outcomes that the broker left out, because this program was behind.
// Which verdicts they had is not known, so more may count than would be told of.
func (w *Observer) Missed(n uint64) {
	w.lost.Add(n)
	w.allLost.Add(n)
	w.missed.Add(n)
	if now := time.Now(); now.Sub(w.saidMissed) >= tellLostEvery {
		w.saidMissed = now
		w.logger().WarnContext(w.logs, "outcomes are lost: the plugin is too slow for the broker",
			slog.Uint64("missed_since_start", w.missed.Load()))
	}
}

// Stop takes no more outcomes, and posts what there is until ctx ends. Batches
// on disk are tried once: what the endpoint does not take now is posted by the
// next life. Batches in memory are tried until the end, and then lost.
func (w *Observer) Stop(ctx context.Context) error {
	if w.ctx == nil || !w.stopped.CompareAndSwap(false, true) {
		return nil
	}
	w.intake.end()
	close(w.stopping)
	select {
	case <-w.ended:
	case <-ctx.Done():
		w.cancel()
		<-w.ended // every wait in there ends with w.ctx
	}
	w.cancel()
	w.to.client.CloseIdleConnections()
	return nil
}

// run opens the queue and moves events through it.
func (w *Observer) run() {
	defer close(w.ended)
	q := w.open()
	go w.collect(q)
	w.deliver(q)
	<-w.collected
	if left := q.waiting(); left > 0 && !q.durable() {
		w.lose(left)
		w.logger().ErrorContext(w.logs, "events are lost: the endpoint did not take them before the end", slog.Int("events", left))
	}
	if err := q.close(); err != nil {
		w.logger().ErrorContext(w.logs, "the spill was not closed", slog.Any("err", err))
	}
}

// open waits for the spill directory, which the link before a reload has until
// it ends. Meanwhile events wait in the intake.
func (w *Observer) open() queue {
	inMemory := &memory{max: int(w.o.MemoryMax / 2)}
	if w.o.SpillDir == "" {
		return inMemory
	}
	tick := time.NewTicker(lockEvery)
	defer tick.Stop()
	for {
		lock, ok, err := tryLock(filepath.Join(w.o.SpillDir, lockFile))
		if ok {
			s, errOpen := openSpill(w.o.SpillDir, lock, int64(w.o.SpillMax), w.o.SpillSync)
			if errOpen == nil {
				return s
			}
			err = errOpen
		}
		if err != nil {
			w.logger().ErrorContext(w.logs, "the spill cannot be used; batches wait in memory", slog.Any("err", err))
			return inMemory
		}
		select {
		case <-tick.C:
		case <-w.ctx.Done():
			return inMemory
		}
	}
}

// lose counts events that nobody will see.
func (w *Observer) lose(events int) {
	w.lost.Add(uint64(events))
	w.allLost.Add(uint64(events))
}

// drop counts what a queue has dropped.
func (w *Observer) drop(g gone) {
	w.lose(g.events)
	w.lost.Add(g.told)
}

func (w *Observer) logger() *slog.Logger {
	if w.log != nil {
		return w.log
	}
	return slog.Default()
}

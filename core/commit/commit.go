// Package commit groups what must be on disk before somebody is answered.
//
// Whoever waits goes into the next transaction. Nothing is delayed by a timer:
// an idle committer writes at once, and while one transaction waits for the
// disk, the next one fills. So one fsync serves many senders, and the work of
// one envelope (its queue row, its audit rows) is never split.
package commit

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/telemetry"
)

const (
	// maxWorks is the largest number of works in one transaction. More in one
	// saves little fsync time, and who waits for the next one may find its
	// envelope confirmed by then, and needs no queue row.
	maxWorks = 256

	// retryAfter is the pause after a transaction that failed, before marks
	// that must not be lost are tried again.
	retryAfter = 250 * time.Millisecond
)

// Work is something to write.
type Work interface {
	// Fill adds what has to be written. It is called once, when the work's
	// transaction starts, and may add nothing.
	Fill(b *store.Batch)

	// Done is called once, after the transaction: with nil when everything is
	// as durable as the config asks. Works are done in the order they were
	// submitted in. It must not wait.
	Done(err error)
}

// lazyDelay is how long rows that nobody waits for may gather. They go along
// with the next transaction that somebody does wait for, if that comes first.
const lazyDelay = 25 * time.Millisecond

// Committer runs transactions, one at a time. All methods may be called
// concurrently.
type Committer struct {
	store    store.Committer
	patience *store.Patience
	log      *slog.Logger

	mu      sync.Mutex
	works   []Work
	lazy    []Work             // works that nobody waits for
	marks   []store.Settlement // deliveries that ended
	marked  int64              // marks given so far, those that are tried again counted again
	taken   int64              // of these, in the transaction that runs or before
	again   int64              // number of the last mark that was queued again
	adrift  int                // marks of failed transactions that are to be tried again
	writing bool               // a transaction runs
	due     bool               // lazy works and marks have gathered for long enough
	timer   bool               // due will be set
	closed  bool

	settled atomic.Int64 // up to which number all marks are written

	wake    chan struct{} // holds one signal: there is something to do
	stopped chan struct{} // closed when run returns

	Counters Counters
}

// Counters count transactions since the start.
type Counters struct {
	Commits  atomic.Int64        // transactions that wrote something
	Failures atomic.Int64        // transactions that failed
	Works    atomic.Int64        // works done
	Audited  atomic.Int64        // entries that were added to audit logs
	Took     telemetry.Histogram // of each transaction: in the store, waiting for a database that is away included
	Sizes    telemetry.Sizes     // of each transaction: its works
}

// New starts a committer that writes to st, and tries transactions again as long
// as p says. Call [Committer.Close] to end it.
func New(st store.Committer, p *store.Patience, log *slog.Logger) *Committer {
	c := &Committer{
		store: st, patience: p, log: log,
		wake:    make(chan struct{}, 1),
		stopped: make(chan struct{}),
	}
	go c.run()
	return c
}

// Submit adds work to the next transaction. It never waits: connections bound
// how much they submit. After Close the work is done at once with
// [store.ErrClosed].
func (c *Committer) Submit(w Work) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		w.Done(store.ErrClosed)
		return
	}
	c.works = append(c.works, w)
	c.mu.Unlock()
	c.signal()
}

// SubmitLazy adds work that nobody waits for. It is written before any work
// that is submitted later.
func (c *Committer) SubmitLazy(w Work) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		w.Done(store.ErrClosed)
		return
	}
	c.lazy = append(c.lazy, w)
	c.soonUnlock()
}

// Settle marks a delivery as ended, soon. A mark survives failed transactions;
// losing it in a crash repeats a push and loses nothing. It returns the number of
// the mark: once [Committer.Settled] has reached it, the mark is written.
func (c *Committer) Settle(s store.Settlement) (number int64) {
	c.mu.Lock()
	c.marks = append(c.marks, s)
	c.marked++
	number = c.marked
	c.soonUnlock()
	return number
}

// Settled returns the number up to which all marks are written.
func (c *Committer) Settled() int64 { return c.settled.Load() }

// soonUnlock sees to it that what gathers is written in time, and unlocks.
func (c *Committer) soonUnlock() {
	full := len(c.lazy)+len(c.marks) >= maxWorks
	start := !c.timer && !full
	c.timer = c.timer || start
	c.due = c.due || full
	c.mu.Unlock()
	if full {
		c.signal()
	}
	if start {
		time.AfterFunc(lazyDelay, c.makeDue)
	}
}

func (c *Committer) makeDue() {
	c.mu.Lock()
	c.due, c.timer = true, false
	c.mu.Unlock()
	c.signal()
}

// Barrier returns when everything submitted or settled before the call is
// written; lazy works may still wait.
func (c *Committer) Barrier(ctx context.Context) error {
	c.mu.Lock()
	idle := !c.writing && len(c.works)+len(c.marks) == 0
	c.mu.Unlock()
	if idle {
		return nil
	}
	return c.Flush(ctx)
}

// Flush is Barrier for lazy works too.
func (c *Committer) Flush(ctx context.Context) error {
	done := make(barrier, 1)
	c.Submit(done)
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// barrier is a work that writes nothing and tells when its turn was over.
type barrier chan error

func (barrier) Fill(*store.Batch) {}
func (b barrier) Done(err error)  { b <- err }

// Close writes what waits and ends the committer, or gives up when ctx ends.
func (c *Committer) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.signal()
	select {
	case <-c.stopped:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Committer) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run writes until the committer is closed and nothing waits.
func (c *Committer) run() {
	defer close(c.stopped)
	var (
		batch store.Batch
		works []Work
	)
	for range c.wake {
		for {
			var more, closed bool
			works, more, closed = c.take(works[:0], &batch)
			if !more {
				if closed {
					return
				}
				break
			}
			c.write(works, &batch)
		}
	}
}

// take moves what waits into works and the batch, bounded by maxWorks. Lazy
// works and marks come along; alone they wait until they are due.
func (c *Committer) take(works []Work, b *store.Batch) (_ []Work, more, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b.Reset()
	c.writing = false
	if len(c.works) == 0 && !c.due && !c.closed {
		return works, false, false
	}
	works = append(works, c.lazy...)
	clear(c.lazy)
	c.lazy = c.lazy[:0]
	n := min(len(c.works), maxWorks)
	works = append(works, c.works[:n]...)
	rest := copy(c.works, c.works[n:])
	clear(c.works[rest:])
	c.works = c.works[:rest]
	b.Settled = append(b.Settled, c.marks...)
	c.marks = c.marks[:0]
	c.taken = c.marked
	c.due = false
	c.writing = len(works) > 0 || len(b.Settled) > 0
	return works, c.writing, c.closed
}

// write runs one transaction and answers its works.
func (c *Committer) write(works []Work, b *store.Batch) {
	marks := len(b.Settled)
	runtime.Gosched()
	for _, w := range works {
		w.Fill(b)
	}
	var err error
	if !b.Empty() {
		start := time.Now()
		if err = c.commit(b); err != nil {
			c.failed(b.Settled[:marks], err)
		} else {
			c.wrote()
			c.Counters.Audited.Add(int64(len(b.Audit)))
		}
		c.Counters.Commits.Add(1)
		c.Counters.Took.Observe(time.Since(start))
		c.Counters.Sizes.Observe(len(works))
	}
	c.Counters.Works.Add(int64(len(works)))
	for i, w := range works {
		w.Done(err)
		works[i] = nil
	}
}

// wrote notes that the marks that were taken are written, unless older ones are
// still to be tried again.
func (c *Committer) wrote() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.adrift == 0 && c.taken >= c.again {
		c.settled.Store(c.taken)
	}
}

// commit writes one batch, waiting for a database that does not answer.
func (c *Committer) commit(b *store.Batch) error {
	for {
		err := c.store.Commit(context.Background(), b)
		if c.patience.Enough(err) || errors.Is(err, store.ErrOutcome) || c.ending() {
			return err
		}
		time.Sleep(store.AskAgain)
	}
}

// ending reports whether the committer was closed: nothing waits any more.
func (c *Committer) ending() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// failed brings the marks of a failed transaction back after a pause.
func (c *Committer) failed(marks []store.Settlement, err error) {
	c.Counters.Failures.Add(1)
	if !errors.Is(err, store.ErrUnavailable) { // else commit has said so, once
		c.log.Error("transaction failed", slog.Any("err", err))
	}
	if len(marks) == 0 {
		return
	}
	kept := append([]store.Settlement{}, marks...)
	c.mu.Lock()
	c.adrift += len(kept)
	c.mu.Unlock()
	time.AfterFunc(retryAfter, func() {
		c.mu.Lock()
		c.adrift -= len(kept)
		c.marks = append(c.marks, kept...)
		c.marked += int64(len(kept))
		c.again = c.marked
		c.soonUnlock()
	})
}

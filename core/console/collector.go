package console

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

const (
	// every is how often the source is asked while somebody watches.
	every = time.Second

	// askTimeout is how long the source may take.
	askTimeout = 5 * time.Second
)

// errStopping is what who asks gets when the page ends.
var errStopping = errors.New("the broker stops")

// collector asks the source, for all who watch together. It may be used by many
// goroutines at once.
type collector struct {
	ctx      context.Context //nolint:containedctx // an answer is for all, and outlives the request that asked for it
	source   Source
	verifier *verifier
	every    time.Duration // set before anybody watches
	log      *slog.Logger
	past     past // belongs to the one answer that is under way
	running  sync.WaitGroup

	mu       sync.Mutex
	watchers int
	latest   *frame        // nil before the first answer
	changed  chan struct{} // closed when latest is another one
	asking   chan struct{} // closed when the answer under way is there; nil: none is
	woken    chan struct{} // has room for one
}

// newCollector returns one that works until ctx ends.
func newCollector(ctx context.Context, source Source, v *verifier, log *slog.Logger) *collector {
	return &collector{
		ctx: ctx, source: source, verifier: v, every: every, log: log,
		changed: make(chan struct{}), woken: make(chan struct{}, 1),
	}
}

// run asks once every second while there are watchers, until the page ends.
func (c *collector) run() {
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-c.woken:
			c.follow()
		}
	}
}

// follow asks until nobody watches.
func (c *collector) follow() {
	tick := time.NewTicker(c.every)
	defer tick.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
			if !c.watched() {
				return
			}
			if _, err := c.ask(c.ctx, time.Now()); err != nil {
				return
			}
		}
	}
}

func (c *collector) watched() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.watchers > 0
}

// watch says that somebody watches, until the function it returns is called.
func (c *collector) watch() (done func()) {
	c.mu.Lock()
	c.watchers++
	c.mu.Unlock()
	select {
	case c.woken <- struct{}{}:
	default:
	}
	return func() {
		c.mu.Lock()
		c.watchers--
		c.mu.Unlock()
	}
}

// current returns the latest frame and a channel that is closed when there is a
// newer one. The frame is nil before the first answer.
func (c *collector) current() (*frame, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.latest, c.changed
}

// fresh returns a frame that is not older than a second, and asks for one if
// there is none. An error is the end of ctx, or of the page; what the source has
// to say against it is in the frame.
func (c *collector) fresh(ctx context.Context) (*frame, error) {
	return c.ask(ctx, time.Now().Add(-c.every))
}

// ask returns a frame that was not asked for before a time. One answer at a time is
// under way, and belongs to all who wait for one: it goes on when who began it
// has gone.
func (c *collector) ask(ctx context.Context, since time.Time) (*frame, error) {
	for {
		f, answered := c.begin(since)
		if f != nil {
			return f, nil
		}
		if answered == nil {
			return nil, errStopping
		}
		select {
		case <-answered:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// begin returns the latest frame if it was not asked for before a time, else a
// channel that is closed when there is another one. Both are nil when the page has ended.
func (c *collector) begin(since time.Time) (*frame, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.latest; f != nil && !f.asked.Before(since) {
		return f, nil
	}
	if c.ctx.Err() != nil {
		return nil, nil
	}
	if c.asking == nil {
		c.asking = make(chan struct{})
		before := c.latest
		c.running.Go(func() { c.answer(before) })
	}
	return nil, c.asking
}

// answer asks the source, and puts the frame in place of the one before.
func (c *collector) answer(before *frame) {
	f := c.take(before)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() == nil { // else the end of the page may be all that it says
		c.latest = f
		close(c.changed)
		c.changed = make(chan struct{})
	}
	close(c.asking)
	c.asking = nil
}

// take makes the next frame. Without an answer it has what the last one knew.
func (c *collector) take(before *frame) *frame {
	ctx, cancel := context.WithTimeout(c.ctx, askTimeout)
	defer cancel()
	f := &frame{asked: time.Now()}
	snap, err := c.source.Snapshot(ctx)
	if err != nil {
		if before != nil {
			f.snapshot, f.rates = before.snapshot, before.rates
		}
		if (before == nil || before.err == nil) && c.ctx.Err() == nil {
			c.log.Warn("the console cannot read how the broker is", slog.Any("err", err))
		}
		f.err = err
	} else {
		f.snapshot = snap
		f.rates = c.past.add(snap)
	}
	f.verdicts = c.verifier.verdicts()
	return f
}

// wait returns when no answer is under way, and must come after the end of ctx.
func (c *collector) wait() {
	c.mu.Lock()   // who held it may have begun one
	c.mu.Unlock() //nolint:staticcheck // the lock itself is what is waited for
	c.running.Wait()
}

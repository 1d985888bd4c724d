package console

import (
	"context"
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

// collector asks the source, for all who watch together. It may be used by many
// goroutines at once.
type collector struct {
	source   Source
	verifier *verifier
	every    time.Duration // set before anybody watches
	log      *slog.Logger

	asking sync.Mutex // held while the source is asked
	past   past       // guarded by asking

	mu       sync.Mutex
	watchers int
	latest   *frame        // nil before the first answer
	changed  chan struct{} // closed when latest is another one
	woken    chan struct{} // has room for one
}

func newCollector(source Source, v *verifier, log *slog.Logger) *collector {
	return &collector{
		source: source, verifier: v, every: every, log: log,
		changed: make(chan struct{}), woken: make(chan struct{}, 1),
	}
}

// run asks once every second while there are watchers, until ctx ends.
func (c *collector) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.woken:
			c.follow(ctx)
		}
	}
}

// follow asks until nobody watches.
func (c *collector) follow(ctx context.Context) {
	tick := time.NewTicker(c.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if !c.watched() {
				return
			}
			c.ask(ctx, time.Now())
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
// there is none.
func (c *collector) fresh(ctx context.Context) *frame {
	if f, _ := c.current(); f != nil && time.Since(f.asked) < c.every {
		return f
	}
	return c.ask(ctx, time.Now().Add(-c.every))
}

// ask asks the source, but for a frame that was asked for after a time. One at
// a time asks, the others wait and take what it got.
func (c *collector) ask(ctx context.Context, after time.Time) *frame {
	c.asking.Lock()
	defer c.asking.Unlock()
	before, _ := c.current()
	if before != nil && before.asked.After(after) {
		return before
	}
	f := c.take(ctx, before)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.latest = f
	close(c.changed)
	c.changed = make(chan struct{})
	return f
}

// take makes the next frame. Without an answer it has what the last one knew.
func (c *collector) take(ctx context.Context, before *frame) *frame {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	f := &frame{asked: time.Now()}
	snap, err := c.source.Snapshot(ctx)
	if err != nil {
		if before != nil {
			f.snapshot, f.rates = before.snapshot, before.rates
		}
		if before == nil || before.err == nil {
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

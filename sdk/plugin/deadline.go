package plugin

import (
	"context"
	"sync"
	"time"
)

// callContext is the context of a batch's calls of Handle. Its timer and its
// channel are made when somebody asks for the channel, which most stages never
// do. Safe for concurrent use, also after the batch.
type callContext struct {
	context.Context           // of the instance
	at              time.Time // the deadline; zero: none

	mu     sync.Mutex
	inner  context.Context // nil until Done is called
	cancel context.CancelFunc
	ended  bool
}

// Deadline returns when the broker stops waiting for the batch.
func (c *callContext) Deadline() (time.Time, bool) { return c.at, !c.at.IsZero() }

// Done is closed at the deadline, when the batch has been answered, and when
// the instance ends.
func (c *callContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == nil {
		if c.at.IsZero() {
			c.inner, c.cancel = context.WithCancel(c.Context)
		} else {
			c.inner, c.cancel = context.WithDeadline(c.Context, c.at)
		}
		if c.ended {
			c.cancel()
		}
	}
	return c.inner.Done()
}

// Err says why Done is closed, or would be.
func (c *callContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.inner != nil:
		return c.inner.Err()
	case c.ended:
		return context.Canceled
	case !c.at.IsZero() && !time.Now().Before(c.at):
		return context.DeadlineExceeded
	}
	return c.Context.Err()
}

// end says that the batch has been judged.
func (c *callContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.cancel != nil {
		c.cancel()
	}
}

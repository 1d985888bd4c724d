package delivery

import (
	"context"
	"time"
)

// Idle waits until no drain runs.
func (e *Engine) Idle() { e.tasks.Wait() }

// ReleaseDue releases what is due by now and returns when the next one is.
func (e *Engine) ReleaseDue(ctx context.Context, now time.Time) (next time.Time, err error) {
	next, _, err = e.releaseDue(ctx, now)
	return next, err
}

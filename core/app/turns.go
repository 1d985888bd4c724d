package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/claudemesh/broker/core/presence"
)

// turnsMost is how much waits in one queue of turns.
const turnsMost = 4096

// turns is a queue of what may wait for the store, where whoever has it done does
// not: it is done in order, by one goroutine. What one queue has to do never waits
// for another.
type turns struct {
	queue chan func(context.Context)
	what  string // for the log
	log   *slog.Logger
}

// newTurns returns an empty queue of what.
func newTurns(what string, log *slog.Logger) *turns {
	return &turns{make(chan func(context.Context), turnsMost), what, log}
}

// add has f done in its turn. Where too much waits it is lost.
func (t *turns) add(f func(context.Context)) {
	select {
	case t.queue <- f:
	default:
		t.log.Debug("not done: too much waits", slog.String("what", t.what))
	}
}

// run does what was added until ctx ends.
func (t *turns) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-t.queue:
			f(ctx)
		}
	}
}

// leftWait is how long features have for a session that is over. What they do not
// do, a sweep does.
const leftWait = 5 * time.Second

// featuresLeft tells the features of a session that is over and has left something
// behind. They wait for the store, and whoever ends a session does not.
func (a *App) featuresLeft(v presence.View) {
	if !v.Serves {
		return
	}
	a.leaving.add(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, leftWait)
		defer cancel()
		a.registry.Left(ctx, v)
	})
}

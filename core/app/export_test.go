package app

import (
	"context"
	"time"

	"github.com/claudemesh/broker/core/console"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/sdk"
)

// Peers returns how many connections there are, with and without a session.
func (a *App) Peers() int { return a.hub.Count() }

// Sessions returns how many sessions there are, those in their grace time
// included.
func (a *App) Sessions() int { return a.dir.Count() }

// Views returns the sessions of a mesh.
func (a *App) Views(mesh string) []presence.View { return a.dir.Views(mesh) }

// Settle waits until everything that was submitted so far is on disk.
func (a *App) Settle(ctx context.Context) error { return a.committer.Barrier(ctx) }

// FramesRead returns how many frames were read since the start.
func (a *App) FramesRead() int64 { return a.exchange.Counters.Frames.Load() }

// PushedAtOnce returns how many messages were written to a session when they were
// accepted, since the start.
func (a *App) PushedAtOnce() int64 {
	return a.engine.Counters.PushedAtOnce.Series(time.Hour).Count
}

// Catching returns how many sessions read now what waits for them.
func (a *App) Catching() int64 { return a.engine.Counters.Catching.Load() }

// SlowPeers returns how many connections were closed because their outbox was
// full.
func (a *App) SlowPeers() int64 { return a.hub.Counters.Slow.Load() }

// SentSchedules returns how many times of schedules were sent since the start.
func (a *App) SentSchedules() int64 {
	return a.scheduler.Counters.Sent.Load() + a.scheduler.Counters.Late.Load()
}

// InferAll guesses statuses from the transcripts below a home directory.
func (a *App) InferAll(ctx context.Context, home string) { a.inferAll(ctx, home) }

// EndUntold ends the session behind a key as a sweep does, and returns what
// tells the mesh of it.
func (a *App) EndUntold(mesh string, key sdk.Key) (tell func()) {
	for _, v := range a.dir.Views(mesh) {
		if v.Routing() != key {
			continue
		}
		if last, ended := a.dir.End(v.Session, 1000, "ended"); ended {
			return func() { a.left(last) }
		}
	}
	panic("no such session")
}

// Refused returns how many frames were refused for a reason since the start.
func (a *App) Refused(r sdk.Reason) int64 { return a.exchange.Counters.Refused.Snapshot()[r] }

// SweepTokens is what the hourly sweep of tokens does at a time.
func (a *App) SweepTokens(ctx context.Context, now time.Time) error { return a.pruneTokens(ctx, now) }

// ConsoleSource returns what tells the operator's page of a broker. What works
// for it ends with ctx.
func (a *App) ConsoleSource(ctx context.Context, o Console) console.Source {
	s := newConsoleSource(a, o)
	for _, task := range s.tasks() {
		go task(ctx)
	}
	return s
}

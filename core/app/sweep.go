package app

import (
	"context"
	"log/slog"
	"time"
)

// sweep is a look at what is over, again and again. Among several nodes one at a
// time looks; one that finds another at it leaves it to that one.
type sweep struct {
	name   string // of the lock that keeps other nodes out
	every  time.Duration
	look   func(ctx context.Context, now time.Time) error
	failed func(err error) // logs in its own words, which docs/logs.md lists; the next look is tried all the same
}

// sweeps are all of them. They are a matter of room: what is over counts for nothing
// before it is deleted, too.
func (a *App) sweeps() []sweep {
	all := []sweep{
		{"presence sweep", time.Hour, a.prunePresences, func(err error) { a.log.Warn("presences not pruned", slog.Any("err", err)) }},
		{"token sweep", time.Hour, a.pruneTokens, func(err error) { a.log.Warn("tokens and invites not pruned", slog.Any("err", err)) }},
		{"topic sweep", time.Hour, a.pruneTopics, func(err error) { a.log.Warn("topics not pruned", slog.Any("err", err)) }},
		{"tool server sweep", time.Minute, a.pruneMcpServers, func(err error) { a.log.Warn("tool servers not pruned", slog.Any("err", err)) }},
	}
	if a.files != nil {
		look := func(ctx context.Context, _ time.Time) error { return a.files.Sweep(ctx) }
		all = append(all, sweep{
			"file sweep", 10 * time.Minute, look, func(err error) { a.log.Warn("files not swept", slog.Any("err", err)) },
		})
	}
	return all
}

// sweep looks every so often, until ctx ends.
func (a *App) sweep(ctx context.Context, s sweep) {
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			err := a.alone(ctx, s.name, func(ctx context.Context) error { return s.look(ctx, now) })
			if err != nil && ctx.Err() == nil {
				s.failed(err)
			}
		}
	}
}

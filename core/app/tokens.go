package app

import (
	"context"
	"log/slog"
	"time"
)

// tokensKept is how long the row of a token, a sign-in or a one-time code that is
// of no use any more is kept: so long a command line that polls late hears that
// its code was consumed, and not that it has expired.
const tokensKept = time.Hour

// pruneTokens deletes what signing in has left behind, until ctx ends. Tokens of
// disabled accounts stay until they expire, since the account may be enabled
// again; they are refused meanwhile.
func (a *App) pruneTokens(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			err := a.alone(ctx, "token sweep", func(ctx context.Context) error {
				_, err := a.options.Store.PruneTokens(ctx, now.Add(-tokensKept))
				return err
			})
			if err != nil && ctx.Err() == nil {
				a.log.Warn("tokens not pruned", slog.Any("err", err))
			}
		}
	}
}

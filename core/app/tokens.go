package app

import (
	"context"
	"errors"
	"time"
)

// tokensKept is how long the row of a token, a sign-in or a one-time code that is
// of no use any more is kept: so long a command line that polls late hears that
// its code was consumed, and not that it has expired.
const tokensKept = time.Hour

// invitesKept is how long the row of an invite that is over is kept: so long the
// list of a mesh's invites has it, and who comes late hears why it does not hold.
const invitesKept = 30 * 24 * time.Hour

// pruneTokens deletes what signing in has left behind. Tokens of disabled accounts
// stay until they expire, since the account may be enabled again; they are refused
// meanwhile. Invites that are long over go too; the audit log still has their ids.
func (a *App) pruneTokens(ctx context.Context, now time.Time) error {
	_, tokens := a.options.Store.PruneTokens(ctx, now.Add(-tokensKept))
	_, invites := a.options.Store.PruneInvites(ctx, now.Add(-invitesKept))
	return errors.Join(tokens, invites)
}

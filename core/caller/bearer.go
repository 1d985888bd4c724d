package caller

import (
	"context"
	"errors"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/store"
)

// touchEvery is how often the use of a token is written down.
const touchEvery = time.Minute

func (c *Callers) bearer(ctx context.Context, call *feature.Call, text string) error {
	if c.keys == nil {
		return badBearer(errors.New("this broker has no encryption_key"))
	}
	now := c.now()
	claims, hash, err := c.keys.Verify(text, now)
	if err != nil {
		return badBearer(err)
	}
	t, a, err := c.store.TokenByHash(ctx, hash)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return badBearer(errors.New("no such token"))
	case err != nil:
		return unavailable(err)
	case !t.RevokedAt.IsZero():
		return badBearer(errors.New("revoked"))
	case !now.Before(t.ExpiresAt):
		return badBearer(errors.New("expired"))
	case claims.Account != t.AccountID || a.ID != t.AccountID:
		return badBearer(errors.New("another account's"))
	case !a.Enabled():
		return badBearer(errors.New("the account is disabled"))
	}
	call.HTTP.Account, call.HTTP.Token = a, t
	if now.Sub(t.LastSeenAt) >= touchEvery {
		_ = c.store.TouchToken(ctx, t.ID, now) // a note for people; who only reads need not wait for a store that can write
	}
	return c.place(ctx, call)
}

// badBearer has one answer for everything that is wrong with a token; the cause
// is for the log.
func badBearer(cause error) error {
	return &core.Error{
		Code: feature.ReasonBadBearer, Message: string(feature.ReasonBadBearer), Err: cause,
	}
}

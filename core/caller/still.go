package caller

import (
	"context"
	"errors"

	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/store"
)

// StillGood reports why what proved a call's member, a while ago, proves it no
// more; nil when it does. A refusal is a [*core.Error], and any other error a
// failure.
func (c *Callers) StillGood(ctx context.Context, call *feature.Call) error {
	switch h := call.HTTP; {
	case h.APIKey != nil:
		return c.keyStillGood(ctx, h.APIKey)
	case h.Account != nil:
		return c.accountStillGood(ctx, call)
	default:
		member, _, err := c.member(ctx, h.Mesh.ID, call.Member.Key)
		if err != nil {
			return err
		}
		return c.enabled(ctx, member)
	}
}

func (c *Callers) keyStillGood(ctx context.Context, k *store.APIKey) error {
	now, err := c.store.APIKeyByHash(ctx, k.Hash)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && !now.Good(c.now()):
		return badBearer(errors.New("the API key is revoked or over"))
	case err != nil:
		return err
	}
	_, _, err = c.ofKey(ctx, now)
	return err
}

// accountStillGood wants the token of an account as it was, and the account to be
// behind the same member.
func (c *Callers) accountStillGood(ctx context.Context, call *feature.Call) error {
	h := call.HTTP
	if t := h.Token; t != nil {
		now, a, err := c.store.TokenByHash(ctx, t.Hash)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return badBearer(errors.New("no such token"))
		case err != nil:
			return err
		case !now.RevokedAt.IsZero() || !c.now().Before(now.ExpiresAt) || !a.Enabled():
			return badBearer(errors.New("revoked or expired"))
		}
	}
	mesh, err := c.store.FindMesh(ctx, h.Mesh.ID)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && mesh.ID != h.Mesh.ID:
		return badBearer(errors.New("the mesh is archived"))
	case err != nil:
		return err
	}
	member, err := c.store.AccountMember(ctx, h.Mesh.ID, h.Account.ID)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && member.ID != call.Member.ID:
		return badBearer(errors.New("the account has this member no more"))
	default:
		return err
	}
}

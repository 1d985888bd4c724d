package caller

import (
	"context"
	"errors"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/token"
	"github.com/claudemesh/broker/sdk"
)

// apiKey takes the word of who holds a member's API key, for routes that are made
// for keys. The key ends with its member, and with its mesh.
func (c *Callers) apiKey(ctx context.Context, call *feature.Call, text string) error {
	h := call.HTTP
	hash, ok := token.HashOfAPIKey(text)
	switch {
	case h.KeyNeeds == "":
		return badBearer(errors.New("an API key, on a route that takes none"))
	case !ok:
		return badBearer(errors.New("not the form of an API key"))
	}
	k, err := c.goodKey(ctx, hash)
	if err != nil {
		return err
	}
	member, mesh, err := c.ofKey(ctx, k)
	if err != nil {
		return err
	}
	if m, ok := call.Request.(feature.MeshNamer); ok && m.MeshName() != "" && m.MeshName() != mesh.ID && m.MeshName() != mesh.Slug {
		return core.Refuse(sdk.ReasonForbidden, "this API key is a member's of another mesh")
	}
	if !k.Can(h.KeyNeeds) {
		return core.Refuse(feature.ReasonKeyCapability, "this API key cannot "+string(h.KeyNeeds)+": make one with that capability")
	}
	h.APIKey, h.Mesh, call.Env.Mesh = k, mesh, mesh.ID
	known(call, member)
	return nil
}

// goodKey returns the key with a hash, and notes that it was used.
func (c *Callers) goodKey(ctx context.Context, hash [32]byte) (*store.APIKey, error) {
	now := c.now()
	k, err := c.store.APIKeyByHash(ctx, hash)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, badBearer(errors.New("no such API key"))
	case err != nil:
		return nil, unavailable(err)
	case !k.Good(now):
		return nil, badBearer(errors.New("the API key is revoked or over"))
	}
	if now.Sub(k.LastUsedAt) >= touchEvery {
		_ = c.store.TouchAPIKey(ctx, k.ID, now) // a note for people; who only reads need not wait for a store that can write
	}
	return k, nil
}

// ofKey returns the member that a key acts for, and its mesh, as long as both are
// live.
func (c *Callers) ofKey(ctx context.Context, k *store.APIKey) (*store.Member, *store.Mesh, error) {
	member, err := c.store.MemberByID(ctx, k.MemberID)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && !member.Live():
		return nil, nil, badBearer(errors.New("the API key's member is revoked"))
	case err != nil:
		return nil, nil, unavailable(err)
	}
	if err := c.enabled(ctx, member); err != nil {
		return nil, nil, err
	}
	mesh, err := c.store.FindMesh(ctx, k.MeshID)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && mesh.ID != k.MeshID:
		return nil, nil, badBearer(errors.New("the API key's mesh is archived"))
	case err != nil:
		return nil, nil, unavailable(err)
	}
	return member, mesh, nil
}

// Package caller finds out who asks over HTTP: an account by its bearer token, a
// member by its signature, or who holds a member's API key. A socket's peers prove themselves in their hello.
package caller

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/token"
	"github.com/claudemesh/broker/sdk"
)

// Store is what callers are looked up in.
type Store interface {
	APIKeyByHash(ctx context.Context, hash [32]byte) (*store.APIKey, error)
	Account(ctx context.Context, id string) (*store.Account, error)
	AccountMember(ctx context.Context, mesh, account string) (*store.Member, error)
	FindMesh(ctx context.Context, idOrSlug string) (*store.Mesh, error)
	Member(ctx context.Context, mesh string, key sdk.Key) (*store.Member, error)
	MemberByID(ctx context.Context, id string) (*store.Member, error)
	TokenByHash(ctx context.Context, hash [32]byte) (*store.Token, *store.Account, error)
	TouchAPIKey(ctx context.Context, id string, at time.Time) error
	TouchToken(ctx context.Context, id string, at time.Time) error
	UseOnce(ctx context.Context, token [32]byte, until time.Time) (fresh bool, err error)
}

// Callers proves callers. Methods may be called concurrently.
type Callers struct {
	store Store
	keys  *token.Keys // nil: no bearer token is good
	now   func() time.Time
}

// New returns what proves callers. keys is nil where the operator's key is not
// known.
func New(st Store, keys *token.Keys, now func() time.Time) *Callers {
	return &Callers{store: st, keys: keys, now: now}
}

// Prove looks at the credential that came with a request and fills in whom it
// proves. A request without one proves nobody, which is no error here. What is
// refused is a [*core.Error]; any other error is a failure.
func (c *Callers) Prove(ctx context.Context, call *feature.Call) error {
	h := call.HTTP
	if h.Access == feature.Anyone {
		return nil
	}
	text, bearer := strings.CutPrefix(h.Authorization, "Bearer ")
	switch {
	case bearer && token.IsAPIKey(strings.TrimSpace(text)):
		return c.apiKey(ctx, call, strings.TrimSpace(text))
	case bearer:
		return c.bearer(ctx, call, strings.TrimSpace(text))
	case strings.HasPrefix(h.Authorization, identity.HTTPScheme+" "):
		return c.signed(ctx, call)
	default:
		return nil
	}
}

// Vouch takes a request's user id for the account that it names, without a proof.
// It reports false where no such account is, and where the operator has barred it
// from this.
func (c *Callers) Vouch(ctx context.Context, call *feature.Call) (bool, error) {
	a, err := c.store.Account(ctx, call.HTTP.UserID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false, nil
	case err != nil:
		return false, unavailable(err)
	case !a.Enabled() || a.NoLegacy:
		return false, nil
	}
	call.HTTP.Account = a
	return true, c.place(ctx, call)
}

// Again looks up anew what Prove found of the mesh that a request is about and of
// the caller's member in it. Stages behind the proof may have held the request for
// as long as they like: what was taken from its caller meanwhile is gone when its
// handler runs. The rows are the store's, as those of the proof are; a roster may
// know less. A token that was revoked meanwhile is still good for this request.
//
// Whose member is gone goes on as the stranger, or the owner, that it is now; a
// signature has nothing left to prove then, and is refused with a [*core.Error].
func (c *Callers) Again(ctx context.Context, call *feature.Call) error {
	h := call.HTTP
	switch {
	case h.Mesh == nil:
		return nil
	case h.Account == nil && call.Member != nil:
		member, mesh, err := c.member(ctx, h.Mesh.ID, call.Member.Key)
		if err != nil {
			return err
		}
		h.Mesh = mesh
		known(call, member)
		return c.enabled(ctx, member)
	}
	id := h.Mesh.ID
	h.Mesh, call.Env.Mesh, call.Member = nil, "", nil
	s := &call.Env.Sender
	s.MemberID, s.Member, s.Name = "", sdk.Key{}, ""
	if h.Account != nil {
		s.Name = h.Account.Name
	}
	return c.placeIn(ctx, call, id)
}

// place finds the mesh that a request names, and the account's member in it.
func (c *Callers) place(ctx context.Context, call *feature.Call) error {
	if call.HTTP.Account != nil {
		call.Env.Sender.Name = call.HTTP.Account.Name
	}
	if m, ok := call.Request.(feature.MeshNamer); ok {
		return c.placeIn(ctx, call, m.MeshName())
	}
	return nil
}

func (c *Callers) placeIn(ctx context.Context, call *feature.Call, idOrSlug string) error {
	if idOrSlug == "" && call.HTTP.KeyNeeds != "" {
		return nil // a route whose credential says which mesh is meant, if it is not an account's
	}
	mesh, err := c.store.FindMesh(ctx, idOrSlug)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return unavailable(err)
	}
	call.HTTP.Mesh, call.Env.Mesh = mesh, mesh.ID
	if call.HTTP.Account == nil {
		return nil
	}
	member, err := c.store.AccountMember(ctx, mesh.ID, call.HTTP.Account.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return unavailable(err)
	}
	known(call, member)
	return nil
}

// known fills in a caller's member.
func known(call *feature.Call, m *store.Member) {
	call.Member = m
	s := &call.Env.Sender
	s.MemberID, s.Member, s.Name = m.ID, m.Key, m.DisplayName
}

func unavailable(err error) error { return core.Unavailable(err) }

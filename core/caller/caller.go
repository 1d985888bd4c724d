// Package caller finds out who asks over HTTP: an account by its bearer token, or
// a member by its signature. A socket's peers prove themselves in their hello.
package caller

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/token"
	"github.com/claudemesh/broker/sdk"
)

// touchEvery is how often the use of a token is written down.
const touchEvery = time.Minute

// proofKept is how long a signature is remembered: its timestamp may be a minute
// ahead of the clock, and holds for a minute behind it.
const proofKept = 3 * time.Minute

// Store is what callers are looked up in.
type Store interface {
	Account(ctx context.Context, id string) (*store.Account, error)
	AccountMember(ctx context.Context, mesh, account string) (*store.Member, error)
	FindMesh(ctx context.Context, idOrSlug string) (*store.Mesh, error)
	Member(ctx context.Context, mesh string, key sdk.Key) (*store.Member, error)
	TokenByHash(ctx context.Context, hash [32]byte) (*store.Token, *store.Account, error)
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

// signed takes the word of a member that signed the request. The signature of a
// request that may change something is good once.
func (c *Callers) signed(ctx context.Context, call *feature.Call) error {
	h := call.HTTP
	now := c.now()
	proof, ok := identity.ParseHTTPProof(h.Authorization)
	if !ok {
		return core.Refuse(sdk.ReasonMalformed, "the Authorization header is no member's signature: "+
			identity.HTTPScheme+` takes mesh="…", key="…", ts="…", sig="…", each once`)
	}
	if r := identity.CheckHTTP(proof, h.Method, h.Target, sha256.Sum256(h.Body), now); !r.OK() {
		return core.Refuse(sdk.Reason(r), "the signature does not fit this request, or its time is more than 60 s from the broker's")
	}
	key, err := sdk.ParseKey(proof.Key)
	if err != nil {
		return core.Refuse(sdk.ReasonMalformed, "key must be 64 hex digits")
	}
	member, mesh, err := c.member(ctx, proof.Mesh, key)
	if err != nil {
		return err
	}
	if err := c.enabled(ctx, member); err != nil {
		return err
	}
	if m, ok := call.Request.(feature.MeshNamer); ok && m.MeshName() != mesh.ID && m.MeshName() != mesh.Slug {
		return core.Refuse(sdk.ReasonForbidden, "the signature is a member's of another mesh")
	}
	if err := c.once(ctx, h.Method, proof, now); err != nil {
		return err
	}
	h.Mesh, call.Env.Mesh = mesh, mesh.ID
	known(call, member)
	return nil
}

func (c *Callers) member(ctx context.Context, meshID string, key sdk.Key) (*store.Member, *store.Mesh, error) {
	refused := core.Refuse(sdk.ReasonUnauthorized, "no live member of this mesh has this key")
	mesh, err := c.store.FindMesh(ctx, meshID)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && mesh.ID != meshID:
		return nil, nil, refused
	case err != nil:
		return nil, nil, unavailable(err)
	}
	member, err := c.store.Member(ctx, meshID, key)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && !member.Live():
		return nil, nil, refused
	case err != nil:
		return nil, nil, unavailable(err)
	}
	return member, mesh, nil
}

// once refuses a signature that was used before. Whoever only reads may ask the
// same twice in a millisecond, which gives the same signature.
func (c *Callers) once(ctx context.Context, method string, proof identity.HTTPProof, now time.Time) error {
	if method == http.MethodGet || method == http.MethodHead {
		return nil
	}
	fresh, err := c.store.UseOnce(ctx, proof.Once(), now.Add(proofKept))
	switch {
	case err != nil:
		return unavailable(err)
	case !fresh:
		return core.Refuse(sdk.ReasonReplayed, "this signature was used before: sign each request anew")
	}
	return nil
}

// enabled refuses a member whose account the operator has disabled. Over its
// socket the member goes on: that is for the mesh to say.
func (c *Callers) enabled(ctx context.Context, m *store.Member) error {
	if m.AccountID == "" {
		return nil
	}
	a, err := c.store.Account(ctx, m.AccountID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return unavailable(err)
	case !a.Enabled():
		return core.Refuse(sdk.ReasonUnauthorized, "the account of this member is disabled: ask the operator of the broker")
	}
	return nil
}

// known fills in a caller's member.
func known(call *feature.Call, m *store.Member) {
	call.Member = m
	s := &call.Env.Sender
	s.MemberID, s.Member, s.Name = m.ID, m.Key, m.DisplayName
}

// badBearer has one answer for everything that is wrong with a token; the cause
// is for the log.
func badBearer(cause error) error {
	return &core.Error{
		Code: feature.ReasonBadBearer, Message: string(feature.ReasonBadBearer), Err: cause,
	}
}

func unavailable(err error) error { return core.Unavailable(err) }

package caller

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// proofKept is how long a signature is remembered: its timestamp may be a minute
// ahead of the clock, and holds for a minute behind it.
const proofKept = 3 * time.Minute

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
	if m, ok := call.Request.(feature.MeshNamer); ok && m.MeshName() != mesh.ID && m.MeshName() != mesh.Slug &&
		(m.MeshName() != "" || h.KeyNeeds == "") {
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

package feature

import (
	"context"
	"errors"
	"net/http"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Access says whom an HTTP request has to come from.
type Access uint8

// Accesses, from the widest.
const (
	// Anyone may ask: what proves the request, if it needs a proof, is in its
	// body. Credentials are not looked at.
	Anyone Access = iota

	// AnyoneKnown may ask without a credential, but one that comes along has to
	// be good.
	AnyoneKnown

	// AnyCaller is an account or a member.
	AnyCaller

	// AnAccount is an account, and not a member on its own.
	AnAccount
)

// HTTP is what a call knows of the HTTP request that it came as. The goroutine
// that serves the request owns it.
type HTTP struct {
	Access        Access
	Legacy        bool   // legacy-auth may vouch for the caller of this route
	Request       string // the id that the answer carries; not unique
	Route         string // the path of the route, with {names} in it
	Method        string // as signed, like the next two
	Target        string // path and query as they were sent
	Body          []byte // as it came; valid while the chain runs
	Authorization string // the header's value, empty without one
	UserID        string // user_id of the body or the query, which legacy-auth goes by
	Local         bool   // came from this machine, and through no proxy
	// RequestHeader returns a header of the request, "" without one.
	RequestHeader func(name string) string

	// Status returns the status of a refusal on this route.
	Status func(sdk.Reason) int

	// Header is the answer's, to which stages may add.
	Header http.Header

	// Account is who proved itself by a token, or whom legacy-auth vouches for;
	// nil before, and for members that signed.
	Account *store.Account

	// APIKey is what proved the call's Member; nil for who proved itself otherwise.
	// KeyNeeds is the capability that a key needs for this route, "" where keys are
	// not taken.
	APIKey   *store.APIKey
	KeyNeeds store.KeyCapability

	// Token is the token that proved the account; nil without one.
	Token *store.Token

	// Mesh is the live mesh that the request names, nil when there is none. The
	// call's Member is the caller's member in it, nil for strangers.
	Mesh *store.Mesh
}

// MeshNamer is a request that concerns one mesh.
type MeshNamer interface {
	// MeshName returns the mesh's id or slug, as the caller wrote it.
	MeshName() string
}

// Reasons of HTTP requests whose caller is not proved. The words are the wire's.
const (
	ReasonNoBearer  sdk.Reason = "missing_bearer_token"
	ReasonBadBearer sdk.Reason = "invalid_or_revoked_token"

	// An API key is good, and not for this.
	ReasonKeyCapability sdk.Reason = "api_key_missing_capability"
	ReasonKeyTopic      sdk.Reason = "api_key_topic_out_of_scope"
)

// Callers knows who calls over HTTP.
type Callers interface {
	// Again fills in anew the mesh that a call is about and its caller's member in
	// it. A refusal is a [*core.Error].
	Again(ctx context.Context, call *Call) error
}

// current sees to it that the handler of a call over HTTP judges on rows as they
// are now, and not as they were when its caller proved itself; a frame's handler
// looks its rows up itself. It reports why the caller may not go on, nil when it
// may.
func (r *Registry) current(ctx context.Context, c *Call) *core.Error {
	if c.HTTP == nil || c.HTTP.Mesh == nil {
		return nil
	}
	err := r.callers.Again(ctx, c)
	if refused, ok := errors.AsType[*core.Error](err); ok || err == nil {
		return refused
	}
	return core.Unavailable(err)
}

// admits reports why a call's caller may not ask for this; nil when it may.
// Stages before have looked at credentials, and this is the last word, so that a
// pipeline that lacks one of them lets nobody in who is not proved.
func (c *Call) admits() *core.Error {
	h := c.HTTP
	switch {
	case h == nil, h.Access == Anyone, h.Access == AnyoneKnown, h.Account != nil:
		return nil
	case h.Access == AnyCaller && c.Member != nil:
		return nil
	default:
		return core.Refuse(ReasonNoBearer, string(ReasonNoBearer))
	}
}

package auth

import (
	"context"
	"errors"
	"strings"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/sdk"
)

// Callers proves who asks over HTTP.
type Callers interface {
	// Prove looks at the credential that came with a request and fills in whom it
	// proves. A refusal is a [*core.Error].
	Prove(ctx context.Context, call *feature.Call) error
}

// http proves the caller of an HTTP request, as far as its route asks for it. A
// caller without a credential, of a route where legacy-auth may vouch for one,
// goes on: the end of the chain refuses it if nobody did.
func (s *Stage) http(ctx context.Context, call *feature.Call) (sdk.Decision, error) {
	err := s.callers.Prove(ctx, call)
	if refused, ok := errors.AsType[*core.Error](err); ok {
		call.Err = refused.Err
		return refused.Decision(), nil
	}
	if err != nil {
		return sdk.Decision{}, err
	}
	h := call.HTTP
	switch {
	case h.Access <= feature.AnyoneKnown, h.Account != nil, h.Access == feature.AnyCaller && call.Member != nil:
		return sdk.Next(), nil
	case h.Legacy && h.UserID != "" && !strings.HasPrefix(h.Authorization, "Bearer "):
		return sdk.Next(), nil
	default:
		return sdk.Refuse(feature.ReasonNoBearer, string(feature.ReasonNoBearer)), nil
	}
}

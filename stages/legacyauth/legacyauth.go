// Package legacyauth lets in the HTTP callers that the original broker trusted
// without a proof: those that name an account in the body instead of carrying a
// bearer token. It is off by default, and whoever knows the id of an account can
// act as that account while it is on.
package legacyauth

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/sdk"
)

// warning is the Warning header's value, the original's letter by letter.
const warning = `299 - "body.user_id auth is deprecated; send Authorization: Bearer <session_token>"`

// Vouchers finds the account that a request names.
type Vouchers interface {
	// Vouch fills in the account. It reports false where there is none, and where
	// the operator has barred it from this.
	Vouch(ctx context.Context, call *feature.Call) (bool, error)
}

// Hits counts the requests that the shim let in, over all reloads.
type Hits struct{ atomic.Int64 }

// Stage is the legacy-auth stage. It may be used by many goroutines at once.
type Stage struct {
	vouchers Vouchers
	sunset   string
	hits     *Hits
	log      *slog.Logger
}

// New returns a legacy-auth stage that counts into hits.
func New(v Vouchers, o Options, hits *Hits, log *slog.Logger) *Stage {
	return &Stage{vouchers: v, sunset: o.Sunset, hits: hits, log: log}
}

// Kinds limits the stage to HTTP calls: sockets always proved themselves.
func (*Stage) Kinds() []sdk.Kind { return []sdk.Kind{"http.*"} }

// Handle vouches for a caller that nobody has proved, where the route allows it.
// A bearer token, good or bad, is never overruled.
func (s *Stage) Handle(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	call := feature.Of(env)
	if call == nil || call.HTTP == nil {
		return sdk.Next(), nil
	}
	h := call.HTTP
	if !h.Legacy || h.UserID == "" || h.Account != nil || call.Member != nil || strings.HasPrefix(h.Authorization, "Bearer ") {
		return sdk.Next(), nil
	}
	ok, err := s.vouchers.Vouch(ctx, call)
	if refused, is := errors.AsType[*core.Error](err); is {
		call.Err = refused.Err
		return refused.Decision(), nil
	}
	if err != nil {
		return sdk.Decision{}, err
	}
	if !ok {
		return sdk.Refuse(feature.ReasonNoBearer, string(feature.ReasonNoBearer)), nil
	}
	h.Header.Set("Deprecation", `version="legacy-body-userid"; sunset="`+s.sunset+`"`)
	h.Header.Set("Warning", warning)
	s.hits.Add(1)
	s.log.Warn("legacy auth accepted", slog.String("kind", string(env.Kind)), slog.String("account", h.Account.ID))
	return sdk.Next(), nil
}

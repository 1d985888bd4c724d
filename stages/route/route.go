// Package route is the end of the pipeline: it gives an envelope to whoever
// owns its kind.
package route

import (
	"context"
	"errors"
	"fmt"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/sdk"
)

// maxShown is how much of an unknown type the refusal repeats. Types of ours
// are shorter; anything else is the sender's, and may be as long as a frame.
const maxShown = 64

// Dispatcher does the work that an envelope asks for.
type Dispatcher interface {
	// Dispatch finds the handler of env.Kind and returns what it decided. For
	// a kind without a handler it returns [chain.ErrUnknownKind]; any other
	// error says that the handler failed.
	Dispatch(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error)
}

// Stage is the route stage.
type Stage struct{ to Dispatcher }

// New returns a stage that hands envelopes to d.
func New(d Dispatcher) *Stage { return &Stage{d} }

// Handle returns the handler's decision, or refuses a kind that nobody owns.
func (s *Stage) Handle(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	d, err := s.to.Dispatch(ctx, env)
	if errors.Is(err, chain.ErrUnknownKind) {
		return unknown(string(env.Kind)), nil
	}
	return d, err
}

func unknown(kind string) sdk.Decision {
	if len(kind) > maxShown {
		kind = kind[:maxShown] + "…"
	}
	return sdk.Refuse(sdk.ReasonUnknownType, fmt.Sprintf("this broker has no handler for the type %q", kind))
}

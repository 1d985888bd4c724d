// Package legacyauth is where callers that the original broker trusted without
// a proof will be let in: HTTP calls that name a user instead of carrying a
// bearer token.
//
// For now it only holds its place in the pipeline. It is off by default, and
// switched on it lets pass what the stages before it let pass: it neither
// admits nor refuses anybody. Its work comes with the HTTP surface.
package legacyauth

import (
	"context"

	"github.com/claudemesh/broker/sdk"
)

// Stage is the legacy-auth stage.
type Stage struct{}

// New returns a legacy-auth stage.
func New() *Stage { return new(Stage) }

// Kinds limits the stage to HTTP calls: sockets always proved themselves.
func (*Stage) Kinds() []sdk.Kind { return []sdk.Kind{"http.*"} }

// Handle passes everything on.
func (*Stage) Handle(context.Context, *sdk.Envelope) (sdk.Decision, error) { return sdk.Next(), nil }

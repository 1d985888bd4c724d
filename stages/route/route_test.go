package route_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/sdktest"
	"github.com/claudemesh/broker/stages/route"
)

// handlers own kinds.
type handlers map[sdk.Kind]func() (sdk.Decision, error)

func (h handlers) Dispatch(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	handle, ok := h[env.Kind]
	if !ok {
		return sdk.Decision{}, fmt.Errorf("dispatch: %w", chain.ErrUnknownKind)
	}
	return handle()
}

func TestHandle(t *testing.T) {
	errAway := errors.New("the store is away")
	answer := sdk.Decision{Verdict: sdk.Answer, Reply: "ack"}
	refused := sdk.Refuse(sdk.ReasonTooLarge, "too_large: send less")
	s := route.New(handlers{
		"send":       func() (sdk.Decision, error) { return answer, nil },
		"big":        func() (sdk.Decision, error) { return refused, nil },
		"list_peers": func() (sdk.Decision, error) { return sdk.Decision{}, errAway },
	})
	long := strings.Repeat("ü", 200)
	tests := []struct {
		name    string
		kind    sdk.Kind
		want    sdk.Decision
		wantErr error
	}{
		{"it returns what the owner answers", "send", answer, nil},
		{"it returns what the owner refuses", "big", refused, nil},
		{"it returns the owner's failure", "list_peers", sdk.Decision{}, errAway},
		{
			"it refuses a type that nobody owns and names it", "sned",
			sdk.Refuse(sdk.ReasonUnknownType, `this broker has no handler for the type "sned"`), nil,
		},
		{
			"it repeats only the beginning of a long one", sdk.Kind(long),
			sdk.Refuse(sdk.ReasonUnknownType, fmt.Sprintf("this broker has no handler for the type %q", long[:64]+"…")), nil,
		},
		{
			"it quotes what is no text", "a\x00\n",
			sdk.Refuse(sdk.ReasonUnknownType, `this broker has no handler for the type "a\x00\n"`), nil,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := s.Handle(t.Context(), &sdk.Envelope{Kind: tt.kind})
			if got != tt.want || !errors.Is(err, tt.wantErr) || (err == nil) != (tt.wantErr == nil) {
				t.Errorf("got %+v, %v, want %+v, %v", got, err, tt.want, tt.wantErr)
			}
		})
	}
}

func TestStage(t *testing.T) {
	sdktest.Run(t, func() sdk.Stage {
		return route.New(handlers{sdk.KindSend: func() (sdk.Decision, error) { return sdk.Decision{Verdict: sdk.Answer}, nil }})
	})
}

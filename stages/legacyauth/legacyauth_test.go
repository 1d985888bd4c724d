package legacyauth_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/sdktest"
	"github.com/claudemesh/broker/stages/legacyauth"
)

// book vouches for ann and nobody else.
type book struct{}

func (book) Vouch(_ context.Context, c *feature.Call) (bool, error) {
	switch c.HTTP.UserID {
	case "ann":
		c.HTTP.Account = &store.Account{ID: "ann"}
		return true, nil
	case "away":
		return false, core.Unavailable(store.ErrUnavailable)
	}
	return false, nil
}

func newStage(hits *legacyauth.Hits) *legacyauth.Stage {
	return legacyauth.New(book{}, legacyauth.DefaultOptions(), hits, slog.New(slog.DiscardHandler))
}

func TestStage(t *testing.T) {
	sdktest.Run(t, func() sdk.Stage { return newStage(new(legacyauth.Hits)) })
}

func TestHandle(t *testing.T) {
	headers := http.Header{
		"Deprecation": {`version="legacy-body-userid"; sunset="2026-05-15"`},
		"Warning":     {`299 - "body.user_id auth is deprecated; send Authorization: Bearer <session_token>"`},
	}
	tests := []struct {
		name   string
		http   *feature.HTTP
		reason sdk.Reason
		in     bool
	}{
		{"lets in who names an account", &feature.HTTP{Legacy: true, UserID: "ann"}, "", true},
		{"takes a credential in other letters for none", &feature.HTTP{Legacy: true, UserID: "ann", Authorization: "bearer x"}, "", true},
		{"refuses who names nobody", &feature.HTTP{Legacy: true, UserID: "bob"}, feature.ReasonNoBearer, false},
		{"never overrules a bearer", &feature.HTTP{Legacy: true, UserID: "ann", Authorization: "Bearer x"}, "", false},
		{"leaves other routes alone", &feature.HTTP{UserID: "ann"}, "", false},
		{"leaves callers alone that name nobody", &feature.HTTP{Legacy: true}, "", false},
		{"says when it cannot tell", &feature.HTTP{Legacy: true, UserID: "away"}, sdk.ReasonUnavailable, false},
	}
	for _, tt := range tests {
		t.Run("it "+tt.name, func(t *testing.T) {
			tt.http.Header = http.Header{}
			env := &sdk.Envelope{Kind: "http.meshes"}
			env.Body = &feature.Call{Env: env, HTTP: tt.http}
			hits := new(legacyauth.Hits)
			d, err := newStage(hits).Handle(t.Context(), env)
			if err != nil || d.Reason != tt.reason || (tt.reason == "") != (d.Verdict == sdk.Continue) {
				t.Fatalf("got %+v, %v; want the reason %q", d, err, tt.reason)
			}
			want := http.Header{}
			if tt.in {
				want = headers
			}
			if diff := cmp.Diff(want, tt.http.Header); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
			if in := tt.http.Account != nil; in != tt.in || hits.Load() == 1 != tt.in {
				t.Errorf("account %v, hits %d; want let in: %v", tt.http.Account, hits.Load(), tt.in)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	if err := legacyauth.DefaultOptions().Validate(); err != nil {
		t.Error(err)
	}
	if err := (legacyauth.Options{Sunset: "soon"}).Validate(); err == nil {
		t.Error("took a sunset that is no day")
	}
}

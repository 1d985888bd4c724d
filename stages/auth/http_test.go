package auth

import (
	"context"
	"errors"
	"testing"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// callers proves what a test says.
type callers struct {
	account *store.Account
	member  *store.Member
	err     error
}

func (c *callers) Prove(_ context.Context, call *feature.Call) error {
	call.HTTP.Account, call.Member = c.account, c.member
	return c.err
}

func TestHTTP(t *testing.T) {
	account, member := &callers{account: &store.Account{ID: "ann"}}, &callers{member: &store.Member{ID: "ada"}}
	nobody := &callers{}
	bad := &callers{err: core.Refuse(feature.ReasonBadBearer, "no")}
	tests := []struct {
		name    string
		callers *callers
		http    feature.HTTP
		reason  sdk.Reason
	}{
		{"lets anyone ask for what is for anyone", nobody, feature.HTTP{Access: feature.Anyone}, ""},
		{"lets strangers ask where the known are told apart", nobody, feature.HTTP{Access: feature.AnyoneKnown}, ""},
		{"refuses a bad credential even there", bad, feature.HTTP{Access: feature.AnyoneKnown}, feature.ReasonBadBearer},
		{"lets an account in", account, feature.HTTP{Access: feature.AnAccount}, ""},
		{"lets an account in as any caller", account, feature.HTTP{Access: feature.AnyCaller}, ""},
		{"lets a member in as any caller", member, feature.HTTP{Access: feature.AnyCaller}, ""},
		{"takes no member for an account", member, feature.HTTP{Access: feature.AnAccount}, feature.ReasonNoBearer},
		{"refuses a stranger", nobody, feature.HTTP{Access: feature.AnyCaller}, feature.ReasonNoBearer},
		{"leaves a named account to the shim", nobody, feature.HTTP{Access: feature.AnAccount, Legacy: true, UserID: "ann"}, ""},
		{"leaves no bearer to the shim", nobody, feature.HTTP{Access: feature.AnAccount, Legacy: true, UserID: "ann", Authorization: "Bearer "}, feature.ReasonNoBearer},
		{"refuses a named account where no shim is", nobody, feature.HTTP{Access: feature.AnAccount, UserID: "ann"}, feature.ReasonNoBearer},
	}
	for _, tt := range tests {
		t.Run("it "+tt.name, func(t *testing.T) {
			r := newRig(t)
			*r.callers = *tt.callers
			env := &sdk.Envelope{Kind: "http.anything"}
			env.Body = &feature.Call{Env: env, HTTP: &tt.http}
			d, err := r.Handle(t.Context(), env)
			if err != nil {
				t.Fatal(err)
			}
			want(t, d, tt.reason)
		})
	}
}

func TestHTTPFails(t *testing.T) {
	r := newRig(t)
	r.callers.err = errors.New("down")
	env := &sdk.Envelope{Kind: "http.anything"}
	env.Body = &feature.Call{Env: env, HTTP: &feature.HTTP{}}
	if d, err := r.Handle(t.Context(), env); err == nil {
		t.Errorf("got %+v, want the failure", d)
	}
}

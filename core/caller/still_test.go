package caller_test

import (
	"errors"
	"testing"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Who asked without a key is as good for as long as its member, its account and its
// token are.
func TestCallerEnds(t *testing.T) {
	t.Parallel()
	account := func(id string, edit func(*store.Account)) func(*rig) {
		return func(r *rig) {
			_, err := r.store.ChangeAccount(t.Context(), id, func(a *store.Account) error { edit(a); return nil })
			r.must(err)
		}
	}
	member := func(id string, edit func(*store.Member)) func(*rig) {
		return func(r *rig) {
			_, err := r.store.ChangeMember(t.Context(), id, func(m *store.Member) error { edit(m); return nil })
			r.must(err)
		}
	}
	revoked := func(id string) func(*rig) {
		return func(r *rig) { r.must(r.store.SetRevoked(t.Context(), id, r.now)) }
	}
	archived := func(id string) func(*rig) {
		return func(r *rig) {
			_, err := r.store.ChangeMesh(t.Context(), id, func(m *store.Mesh) error { m.ArchivedAt = time.Now(); return nil })
			r.must(err)
		}
	}
	disable := func(a *store.Account) { a.DisabledAt = time.Now() }
	for _, tt := range []struct {
		name  string
		signs bool // ada does, in home; else ann asks about work with a token
		end   func(*rig)
		good  bool
	}{
		{"a member that signs", true, func(*rig) {}, true},
		{"a member that signed and was revoked", true, revoked("ada"), false},
		{"a member that signed, whose account was disabled", true, func(r *rig) {
			member("ada", func(m *store.Member) { m.AccountID = "bob" })(r)
			account("bob", disable)(r)
		}, false},
		{"a member that signed, in a mesh that is archived", true, archived("home"), false},
		{"an account", false, func(*rig) {}, true},
		{"an account whose token is over", false, func(r *rig) { r.now = r.now.Add(2 * time.Hour) }, false},
		{"an account whose token is forgotten", false, func(r *rig) {
			_, err := r.store.PruneTokens(t.Context(), r.now.Add(2*time.Hour))
			r.must(err)
		}, false},
		{"an account that was disabled", false, account("ann", disable), false},
		{"an account whose member was revoked", false, revoked("ann-at-work"), false},
		{"an account whose member is another account's now", false, member("ann-at-work", func(m *store.Member) { m.AccountID = "bob" }), false},
		{"an account in a mesh that is archived", false, archived("work"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			call := keyCall(inMesh("work"), r.bearer("ann", nil))
			if tt.signs {
				call = keyCall(inMesh("home"), identity.SignHTTP(r.ada, "POST", "/a?b=c", "home", []byte("{}"), r.now))
			}
			want(t, r.Prove(t.Context(), call), "")
			tt.end(r)
			err := r.StillGood(t.Context(), call)
			refused, ok := errors.AsType[*core.Error](err)
			if ok = ok && refused.Code != sdk.ReasonUnavailable; err != nil && !ok || ok == tt.good {
				t.Errorf("got %v", err)
			}
		})
	}
}

package caller_test

import (
	"testing"
	"time"

	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/token"
	"github.com/claudemesh/broker/sdk"
)

// apiKey makes a key of ada's, which edit may change before it is written.
func (r *rig) apiKey(edit func(*store.APIKey)) (bearer string) {
	r.t.Helper()
	secret, prefix, hash := token.NewAPIKey()
	k := &store.APIKey{
		ID: identity.NewID(), MeshID: "home", MemberID: "ada", Label: "test", Prefix: prefix, Hash: hash,
		Capabilities: []store.KeyCapability{store.KeyRead}, CreatedAt: r.now,
	}
	if edit != nil {
		edit(k)
	}
	r.must(r.store.CreateAPIKey(r.t.Context(), k, store.Room{Mesh: 100, Member: 100}, 100))
	return "Bearer " + secret
}

// keyCall is a call of a route for keys that can read.
func keyCall(request any, bearer string) *feature.Call {
	c := newCall(request, bearer)
	c.HTTP.KeyNeeds = store.KeyRead
	return c
}

func TestAPIKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	good := r.apiKey(nil)
	for _, tt := range []struct {
		name, bearer string
		request      any
		reason       sdk.Reason
	}{
		{"takes a good key", good, nil, ""},
		{"takes a key in its mesh, by id", good, inMesh("home"), ""},
		{"takes a key in its mesh, by slug", good, inMesh("home-slug"), ""},
		{"takes a key where no mesh is named", good, inMesh(""), ""},
		{"refuses a key in another mesh", good, inMesh("work"), sdk.ReasonForbidden},
		{"refuses a key that nobody made", "Bearer " + token.APIKeyPrefix + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", nil, feature.ReasonBadBearer},
		{"refuses half a key", good[:30], nil, feature.ReasonBadBearer},
		{"refuses a revoked key", r.apiKey(func(k *store.APIKey) { k.RevokedAt = r.now }), nil, feature.ReasonBadBearer},
		{"refuses a key that is over", r.apiKey(func(k *store.APIKey) { k.ExpiresAt = r.now }), nil, feature.ReasonBadBearer},
		{"refuses a key that cannot", r.apiKey(func(k *store.APIKey) { k.Capabilities = []store.KeyCapability{store.KeySend} }), nil, feature.ReasonKeyCapability},
		{"takes a key that can everything", r.apiKey(func(k *store.APIKey) { k.Capabilities = []store.KeyCapability{store.KeyAdmin} }), nil, ""},
	} {
		t.Run("it "+tt.name, func(t *testing.T) {
			call := keyCall(tt.request, tt.bearer)
			want(t, r.Prove(t.Context(), call), tt.reason)
			if proved := call.Member != nil && call.HTTP.APIKey != nil && call.Env.Mesh == "home"; proved != (tt.reason == "") {
				t.Errorf("proved %+v", call.Member)
			}
		})
	}
	want(t, r.Prove(t.Context(), newCall(nil, good)), feature.ReasonBadBearer) // a route that is not for keys
}

// What ends a key ends what it proved before.
func TestAPIKeyEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(r *rig, k *store.APIKey){
		"revoked":       func(r *rig, k *store.APIKey) { r.must(r.store.RevokeAPIKey(t.Context(), k.MeshID, k.ID, r.now)) },
		"its time over": func(r *rig, _ *store.APIKey) { r.now = r.now.Add(2 * time.Hour) },
		"its member revoked": func(r *rig, k *store.APIKey) {
			r.must(r.store.SetRevoked(t.Context(), k.MemberID, r.now))
		},
		"its mesh archived": func(r *rig, k *store.APIKey) {
			_, err := r.store.ChangeMesh(t.Context(), k.MeshID, func(m *store.Mesh) error { m.ArchivedAt = r.now; return nil })
			r.must(err)
		},
	} {
		r := newRig(t)
		call := keyCall(nil, r.apiKey(func(k *store.APIKey) { k.ExpiresAt = r.now.Add(time.Hour) }))
		want(t, r.Prove(t.Context(), call), "")
		want(t, r.StillGood(t.Context(), call), "")
		end(r, call.HTTP.APIKey)
		if err := r.StillGood(t.Context(), call); err == nil {
			t.Errorf("%s: it is still good", name)
		}
		if err := r.Prove(t.Context(), keyCall(nil, call.HTTP.Authorization)); err == nil {
			t.Errorf("%s: it proves somebody", name)
		}
	}
}

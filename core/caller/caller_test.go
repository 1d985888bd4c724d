package caller_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/caller"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/freshtest"
	"github.com/claudemesh/broker/core/store/sqlite"
	"github.com/claudemesh/broker/core/token"
	"github.com/claudemesh/broker/sdk"
)

// rig is a store with two accounts, two meshes and a member of each.
type rig struct {
	*caller.Callers
	t     *testing.T
	store *sqlite.Store
	keys  *token.Keys
	now   time.Time
	ada   ed25519.PrivateKey // member of home, without an account
}

func newRig(t *testing.T) *rig {
	t.Helper()
	st, err := sqlite.Open(t.Context(), sqlite.Options{Path: freshtest.Path(t), Durability: sqlite.Process})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &rig{t: t, store: st, keys: token.NewKeys([token.KeySize]byte{1}), now: time.Now().Truncate(time.Millisecond)}
	r.Callers = caller.New(st, r.keys, func() time.Time { return r.now })
	for _, id := range []string{"ann", "bob"} {
		r.must(st.CreateAccount(t.Context(), &store.Account{ID: id, Name: strings.ToUpper(id), CreatedAt: r.now}))
	}
	key, secret := identity.NewKeypair()
	r.ada = secret
	for _, m := range []struct{ id, member, account string }{{"home", "ada", ""}, {"work", "ann-at-work", "ann"}} {
		if m.account != "" {
			key, _ = identity.NewKeypair()
		}
		owner, _ := identity.NewKeypair()
		r.must(st.CreateMesh(t.Context(), &store.Mesh{ID: m.id, Slug: m.id + "-slug", Name: m.id, OwnerKey: owner, CreatedAt: r.now},
			[]*store.Member{{ID: m.member, MeshID: m.id, Key: key, DisplayName: m.member, Role: store.RoleMember, AccountID: m.account, JoinedAt: r.now}}))
	}
	return r
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// bearer makes a token of an account, which edit may change before it is written.
func (r *rig) bearer(account string, edit func(*store.Token)) string {
	r.t.Helper()
	text, hash, err := r.keys.Mint(token.Claims{Account: account, Kind: token.KindDevice, ExpiresAt: r.now.Add(time.Hour)}, r.now)
	r.must(err)
	row := &store.Token{ID: identity.NewID(), AccountID: account, Hash: hash, Kind: store.TokenDevice, CreatedAt: r.now, ExpiresAt: r.now.Add(time.Hour), LastSeenAt: r.now}
	if edit != nil {
		edit(row)
	}
	r.must(r.store.CreateToken(r.t.Context(), row))
	return "Bearer " + text
}

// inMesh is a request that names a mesh.
type inMesh string

func (m inMesh) MeshName() string { return string(m) }

func newCall(request any, authorization string) *feature.Call {
	env := &sdk.Envelope{Kind: "http.test"}
	call := &feature.Call{Env: env, Request: request, HTTP: &feature.HTTP{
		Access: feature.AnyCaller, Method: http.MethodPost, Target: "/a?b=c", Body: []byte("{}"), Authorization: authorization,
	}}
	env.Body = call
	return call
}

// want checks the reason of a refusal, "" for none.
func want(t *testing.T, err error, reason sdk.Reason) {
	t.Helper()
	refused, ok := errors.AsType[*core.Error](err)
	switch {
	case reason == "" && err != nil:
		t.Fatalf("refused: %v", err)
	case reason != "" && (!ok || refused.Code != reason):
		t.Fatalf("got %v, want a refusal for %s", err, reason)
	}
}

func TestBearer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	good := r.bearer("ann", nil)
	foreign, _, err := token.NewKeys([token.KeySize]byte{2}).Mint(token.Claims{Account: "ann", Kind: token.KindDevice, ExpiresAt: r.now.Add(time.Hour)}, r.now)
	r.must(err)
	unknown, _, err := r.keys.Mint(token.Claims{Account: "ann", Kind: token.KindDevice, ExpiresAt: r.now.Add(time.Hour)}, r.now)
	r.must(err)
	revoked := r.bearer("ann", nil)
	row, _, err := r.store.TokenByHash(t.Context(), token.HashOf(strings.TrimPrefix(revoked, "Bearer ")))
	r.must(err)
	r.must(r.store.RevokeToken(t.Context(), row.ID, r.now))
	another := r.bearer("ann", func(t *store.Token) { t.AccountID = "bob" })
	over := r.bearer("ann", func(t *store.Token) { t.ExpiresAt = r.now.Add(-time.Second) })
	off := r.bearer("bob", nil)
	_, err = r.store.ChangeAccount(t.Context(), "bob", func(a *store.Account) error { a.DisabledAt = r.now; return nil })
	r.must(err)
	tests := []struct {
		name, authorization string
		reason              sdk.Reason
		account             string
	}{
		{"takes a good token", good, "", "ann"},
		{"takes no token for nobody", "", "", ""},
		{"takes another scheme for none", "Basic YTpi", "", ""},
		{"takes another spelling for none", strings.ToLower(good[:7]) + good[7:], "", ""},
		{"refuses an empty token", "Bearer ", feature.ReasonBadBearer, ""},
		{"refuses garbage", "Bearer a.b.c", feature.ReasonBadBearer, ""},
		{"refuses a token of another broker", "Bearer " + foreign, feature.ReasonBadBearer, ""},
		{"refuses a token that was never written", "Bearer " + unknown, feature.ReasonBadBearer, ""},
		{"refuses a revoked token", revoked, feature.ReasonBadBearer, ""},
		{"refuses a token whose row is another account's", another, feature.ReasonBadBearer, ""},
		{"refuses a token whose row has expired", over, feature.ReasonBadBearer, ""},
		{"refuses a token of a disabled account", off, feature.ReasonBadBearer, ""},
		{"refuses a token with something behind it", good + "x", feature.ReasonBadBearer, ""},
	}
	for _, tt := range tests {
		t.Run("it "+tt.name, func(t *testing.T) {
			call := newCall(nil, tt.authorization)
			want(t, r.Prove(t.Context(), call), tt.reason)
			if got := call.HTTP.Account; (got != nil) != (tt.account != "") || got != nil && got.ID != tt.account {
				t.Errorf("proved %+v, want %q", got, tt.account)
			}
		})
	}
	r.now = r.now.Add(2 * time.Hour)
	want(t, r.Prove(t.Context(), newCall(nil, good)), feature.ReasonBadBearer)
}

func TestPlace(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	bearer := r.bearer("ann", nil)
	for _, tt := range []struct{ mesh, found, member string }{
		{"work", "work", "ann-at-work"},
		{"work-slug", "work", "ann-at-work"},
		{"home", "home", ""},
		{"nowhere", "", ""},
	} {
		call := newCall(inMesh(tt.mesh), bearer)
		want(t, r.Prove(t.Context(), call), "")
		if call.Env.Mesh != tt.found || (call.HTTP.Mesh != nil) != (tt.found != "") {
			t.Errorf("%s: found %q", tt.mesh, call.Env.Mesh)
		}
		if call.Env.Sender.MemberID != tt.member || (call.Member != nil) != (tt.member != "") {
			t.Errorf("%s: member %q, want %q", tt.mesh, call.Env.Sender.MemberID, tt.member)
		}
	}
}

// What a caller is when its handler runs, after changes behind the proof.
func TestAgain(t *testing.T) {
	t.Parallel()
	revoke := func(member string) func(*rig) {
		return func(r *rig) { r.must(r.store.SetRevoked(t.Context(), member, r.now)) }
	}
	change := func(mesh string, edit func(*store.Mesh)) func(*rig) {
		return func(r *rig) {
			_, err := r.store.ChangeMesh(t.Context(), mesh, func(m *store.Mesh) error { edit(m); return nil })
			r.must(err)
		}
	}
	archive := func(mesh string) func(*rig) {
		return change(mesh, func(m *store.Mesh) { m.ArchivedAt = time.Now() })
	}
	disable := func(r *rig) {
		_, err := r.store.ChangeMember(t.Context(), "ada", func(m *store.Member) error { m.AccountID = "bob"; return nil })
		r.must(err)
		_, err = r.store.ChangeAccount(t.Context(), "bob", func(a *store.Account) error { a.DisabledAt = r.now; return nil })
		r.must(err)
	}
	tests := []struct {
		name         string
		mesh         string // that the request names; of home ada asks with her signature, else ann with a token
		change       func(*rig)
		found        string
		member, as   string
		reason       sdk.Reason
		ownerAccount string // as the handler sees it
	}{
		{"finds the same", "work-slug", func(*rig) {}, "work", "ann-at-work", "ann-at-work", "", ""},
		{"finds no member that was revoked", "work", revoke("ann-at-work"), "work", "", "ANN", "", ""},
		{"finds no mesh that was archived", "work", archive("work"), "", "", "ANN", "", ""},
		{"finds the owner of now", "work", change("work", func(m *store.Mesh) { m.OwnerAccount = "ann" }), "work", "ann-at-work", "ann-at-work", "", "ann"},
		{"finds the same member that signed", "home", func(*rig) {}, "home", "ada", "ada", "", ""},
		{"refuses a signature of a member that was revoked", "home", revoke("ada"), "", "", "", sdk.ReasonUnauthorized, ""},
		{"refuses a signature for a mesh that was archived", "home", archive("home"), "", "", "", sdk.ReasonUnauthorized, ""},
		{"refuses a signature of whose account was disabled", "home", disable, "", "", "", sdk.ReasonUnauthorized, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			call := newCall(inMesh(tt.mesh), r.bearer("ann", nil))
			if tt.mesh == "home" {
				call = newCall(inMesh(tt.mesh), identity.SignHTTP(r.ada, "POST", "/a?b=c", "home", []byte("{}"), r.now))
			}
			want(t, r.Prove(t.Context(), call), "")
			tt.change(r)
			want(t, r.Again(t.Context(), call), tt.reason)
			if tt.reason != "" {
				return
			}
			who := call.Env.Sender
			if call.Env.Mesh != tt.found || (call.HTTP.Mesh != nil) != (tt.found != "") || who.MemberID != tt.member || who.Name != tt.as {
				t.Errorf("got %q, %+v", call.Env.Mesh, who)
			}
			if (call.Member != nil) != (tt.member != "") || who.Member.IsZero() != (tt.member == "") {
				t.Errorf("got %+v, %+v", call.Member, who)
			}
			if m := call.HTTP.Mesh; m != nil && m.OwnerAccount != tt.ownerAccount {
				t.Errorf("got %+v", m)
			}
		})
	}
}

func TestTouch(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	bearer := r.bearer("ann", nil)
	hash := token.HashOf(strings.TrimPrefix(bearer, "Bearer "))
	r.now = r.now.Add(30 * time.Second)
	want(t, r.Prove(t.Context(), newCall(nil, bearer)), "")
	first, _, err := r.store.TokenByHash(t.Context(), hash)
	r.must(err)
	r.now = r.now.Add(time.Minute)
	want(t, r.Prove(t.Context(), newCall(nil, bearer)), "")
	second, _, err := r.store.TokenByHash(t.Context(), hash)
	r.must(err)
	if !first.LastSeenAt.Before(second.LastSeenAt) || !second.LastSeenAt.Equal(r.now) {
		t.Errorf("seen at %v, then at %v; want the second use alone to be written", first.LastSeenAt, second.LastSeenAt)
	}
}

func TestSignature(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, stranger := identity.NewKeypair()
	sign := func(secret ed25519.PrivateKey, method, target, mesh, body string) string {
		r.now = r.now.Add(time.Millisecond) // each signature is another one
		return identity.SignHTTP(secret, method, target, mesh, []byte(body), r.now)
	}
	tests := []struct {
		name, authorization string
		request             any
		reason              sdk.Reason
	}{
		{"takes a member", sign(r.ada, "POST", "/a?b=c", "home", "{}"), nil, ""},
		{"takes a member about its mesh", sign(r.ada, "POST", "/a?b=c", "home", "{}"), inMesh("home-slug"), ""},
		{"refuses a member about another mesh", sign(r.ada, "POST", "/a?b=c", "home", "{}"), inMesh("work"), sdk.ReasonForbidden},
		{"refuses a member of another mesh", sign(r.ada, "POST", "/a?b=c", "work", "{}"), nil, sdk.ReasonUnauthorized},
		{"refuses a mesh by its slug, which can change hands", sign(r.ada, "POST", "/a?b=c", "home-slug", "{}"), nil, sdk.ReasonUnauthorized},
		{"refuses a stranger", sign(stranger, "POST", "/a?b=c", "home", "{}"), nil, sdk.ReasonUnauthorized},
		{"refuses another method", sign(r.ada, "GET", "/a?b=c", "home", "{}"), nil, sdk.ReasonBadSignature},
		{"refuses another target", sign(r.ada, "POST", "/a?b=d", "home", "{}"), nil, sdk.ReasonBadSignature},
		{"refuses another body", sign(r.ada, "POST", "/a?b=c", "home", "{ }"), nil, sdk.ReasonBadSignature},
		{"refuses what is no signature", "Mesh-Member sig", nil, sdk.ReasonMalformed},
	}
	for _, tt := range tests {
		t.Run("it "+tt.name, func(t *testing.T) {
			call := newCall(tt.request, tt.authorization)
			want(t, r.Prove(t.Context(), call), tt.reason)
			if tt.reason == "" && (call.Member == nil || call.Env.Sender.MemberID != "ada" || call.Env.Mesh != "home") {
				t.Errorf("proved %+v", call.Env.Sender)
			}
			if tt.reason != "" && call.Member != nil {
				t.Errorf("a refused signature proved %+v", call.Member)
			}
		})
	}
	once := sign(r.ada, "POST", "/a?b=c", "home", "{}")
	want(t, r.Prove(t.Context(), newCall(nil, once)), "")
	want(t, r.Prove(t.Context(), newCall(nil, once)), sdk.ReasonReplayed)

	read := newCall(nil, sign(r.ada, "GET", "/a?b=c", "home", "{}"))
	read.HTTP.Method = http.MethodGet
	want(t, r.Prove(t.Context(), read), "")
	want(t, r.Prove(t.Context(), read), "")

	old := sign(r.ada, "POST", "/a?b=c", "home", "{}")
	r.now = r.now.Add(2 * time.Minute)
	want(t, r.Prove(t.Context(), newCall(nil, old)), sdk.ReasonSkew)

	_, err := r.store.ChangeMember(t.Context(), "ada", func(m *store.Member) error { m.AccountID = "bob"; return nil })
	r.must(err)
	want(t, r.Prove(t.Context(), newCall(nil, sign(r.ada, "POST", "/a?b=c", "home", "{}"))), "")
	_, err = r.store.ChangeAccount(t.Context(), "bob", func(a *store.Account) error { a.DisabledAt = r.now; return nil })
	r.must(err)
	want(t, r.Prove(t.Context(), newCall(nil, sign(r.ada, "POST", "/a?b=c", "home", "{}"))), sdk.ReasonUnauthorized)
	_, err = r.store.ChangeAccount(t.Context(), "bob", func(a *store.Account) error { a.DisabledAt = time.Time{}; return nil })
	r.must(err)

	r.must(r.store.SetRevoked(context.Background(), "ada", r.now))
	want(t, r.Prove(t.Context(), newCall(nil, sign(r.ada, "POST", "/a?b=c", "home", "{}"))), sdk.ReasonUnauthorized)
}

func TestVouch(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	change := func(edit func(*store.Account)) {
		_, err := r.store.ChangeAccount(t.Context(), "bob", func(a *store.Account) error { edit(a); return nil })
		r.must(err)
	}
	vouch := func(user string) bool {
		call := newCall(inMesh("work"), "")
		call.HTTP.UserID = user
		ok, err := r.Vouch(t.Context(), call)
		r.must(err)
		if ok != (call.HTTP.Account != nil) {
			t.Errorf("vouched: %v, account %+v", ok, call.HTTP.Account)
		}
		return ok
	}
	if !vouch("ann") || !vouch("bob") || vouch("nobody") {
		t.Error("an account that exists is vouched for, and no other")
	}
	change(func(a *store.Account) { a.NoLegacy = true })
	if vouch("bob") {
		t.Error("vouched for an account that the operator has barred")
	}
	change(func(a *store.Account) { a.NoLegacy, a.DisabledAt = false, r.now })
	if vouch("bob") {
		t.Error("vouched for an account that is disabled")
	}
}

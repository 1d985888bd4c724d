package app_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/token"
)

// Whoever named an account was given a session of it.
func TestFlaw01TokenForAnyUser(t *testing.T) {
	f := newFlawRig(t, nil)
	before := len(f.tokens("ann"))
	body := `{"user_id":"ann","email":"ann@example.org","name":"Ann"}`
	forged := flawJWT([]byte("no key of ours"), flawClaims("ann"))
	for _, attack := range []struct {
		name   string
		header http.Header
		status int
	}{
		{"without a credential", nil, 401},
		{"with a token of somebody else", flawBearer(f.eve), 403},
		{"with a forged token", flawBearer(forged), 401},
		{"with an id for a token", flawBearer("ann"), 401},
		{"with the signature of another member", flawSigned(f.bobMember, "POST", "/cli/token", body), 403},
	} {
		t.Run("it refuses "+attack.name, func(t *testing.T) {
			if answer := f.wantRefused(attack.status, "POST", "/cli/token", attack.header, body); answer["token"] != nil {
				t.Errorf("a token was made: %v", answer)
			}
		})
	}
	if after := len(f.tokens("ann")); after != before {
		t.Errorf("ann has %d tokens, and had %d", after, before)
	}
	if a := f.wantDone("POST", "/cli/token", flawBearer(f.ann), body); a["token"] == nil {
		t.Errorf("ann herself: got %v", a)
	}
}

// Whoever began a sign-in could approve it too, as anybody.
func TestFlaw02AnybodyApprovesASignIn(t *testing.T) {
	f := newFlawRig(t, nil)
	device, user, session := f.begin()
	body := `{"user_id":"ann","email":"ann@example.org"}`
	for _, key := range []string{session, user, strings.ToLower(user)} {
		path := "/cli/device-code/" + key + "/approve"
		f.wantRefused(401, "POST", path, nil, body)
		f.wantRefused(401, "POST", path, flawBearer(flawJWT([]byte("no key of ours"), flawClaims("ann"))), body)
		f.wantRefused(403, "POST", path, flawBearer(f.eve), body)
		f.wantRefused(401, "POST", path, nil, `{"email":"x","code":"AAAA-AAAA-AAAA-AAAA"}`)
		f.wantRefused(400, "POST", path, nil, `{"user_id":"ann","email":"x","code":"AAAA-AAAA-AAAA-AAAA"}`)
		if a := f.poll(device); a["status"] != "pending" || a["session_token"] != nil {
			t.Fatalf("after attacks with %s: got %v, want it to wait", key, a)
		}
	}
	f.wantDone("POST", "/cli/device-code/"+session+"/approve", flawBearer(f.ann), body)
	if a := f.poll(device); a["status"] != "approved" || a["session_token"] == nil {
		t.Errorf("approved by ann: got %v", a)
	}
}

// An invite told the id of its mesh, the mesh its members, a member its account,
// and the account's id was a login.
func TestFlaw03FromAnInviteToAnAccount(t *testing.T) {
	f := newFlawRig(t, nil)
	_, invite := f.newInvite(`{}`)
	payload, err := identity.ParseToken(invite)
	if err != nil {
		t.Fatal(err)
	}
	path := "/mesh/" + payload.MeshID + "/members"
	for _, header := range []http.Header{nil, {"X-Member-Id": {f.annMember.MemberID}}} {
		if a := f.wantRefused(401, "GET", path, header, ""); a["members"] != nil {
			t.Errorf("the members are shown: %v", a)
		}
	}
	f.wantRefused(403, "GET", path, flawBearer(f.eve), "")

	// Who did join sees the members, and not their accounts.
	eve := f.enrol("eve", store.RoleMember, "eve")
	for _, row := range f.wantDone("GET", path, flawSigned(eve, "GET", path, ""), "")["members"].([]any) {
		member := row.(map[string]any)
		if account := member["dashboardUserId"]; account != nil && account != "eve" {
			t.Errorf("eve sees an account: %v", member)
		}
	}
	// And knowing it would be of no use.
	f.wantRefused(401, "POST", "/cli/token", nil, `{"user_id":"ann","email":"ann@example.org"}`)
	f.wantRefused(401, "GET", "/cli/meshes?user_id=ann", nil, "")
}

// Whoever named an account saw its machines.
func TestFlaw09SessionsOfAnybody(t *testing.T) {
	f := newFlawRig(t, nil)
	f.stored("ann", "text", func(r *store.Token) { r.Hostname = "laptop-of-ann" })
	for status, header := range map[int]http.Header{401: nil, 403: flawBearer(f.eve)} {
		if a := f.wantRefused(status, "GET", "/cli/sessions?user_id=ann", header, ""); a["sessions"] != nil {
			t.Errorf("sessions are shown: %v", a)
		}
	}
	for _, path := range []string{"/cli/sessions", "/cli/sessions?user_id=eve"} {
		if a := flawJSON(f.wantDone("GET", path, flawBearer(f.eve), "")); strings.Contains(a, "laptop-of-ann") {
			t.Errorf("%s: eve sees ann's machines: %s", path, a)
		}
	}
	if a := flawJSON(f.wantDone("GET", "/cli/sessions?user_id=ann", flawBearer(f.ann), "")); !strings.Contains(a, "laptop-of-ann") {
		t.Errorf("ann does not see her own: %s", a)
	}
}

// A session's signature, end, type and subject were not looked at, and it lived
// until it was revoked.
func TestFlaw10SessionsNeverEnd(t *testing.T) {
	f := newFlawRig(t, nil)
	now := time.Now()
	mint := func(keys *token.Keys, account string, ttl time.Duration, at time.Time) string {
		t.Helper()
		text, _, err := keys.Mint(token.Claims{Account: account, Kind: token.KindDevice, ExpiresAt: at.Add(ttl)}, at)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	ours := token.NewKeys(atRest.Key())
	const path = "/api/my/profile"
	good := f.stored("ann", mint(ours, "ann", time.Hour, now), nil)
	f.wantDone("GET", path, flawBearer(good), "")

	tampered := strings.Split(good, ".")
	tampered[1] = base64.RawURLEncoding.EncodeToString([]byte(flawJSON(flawClaims("ann"))))
	for name, text := range map[string]string{
		"that has ended by its own word": f.stored("ann", mint(ours, "ann", time.Hour, now.Add(-2*time.Hour)), nil),
		"that has ended by our word":     f.stored("ann", mint(ours, "ann", 2*time.Hour, now), func(r *store.Token) { r.ExpiresAt = now.Add(-time.Minute) }),
		"that was revoked":               f.stored("ann", mint(ours, "ann", time.Hour, now), func(r *store.Token) { r.RevokedAt = now }),
		"that another key has signed":    f.stored("ann", mint(token.NewKeys([token.KeySize]byte{9}), "ann", time.Hour, now), nil),
		"that nobody has signed":         f.stored("ann", flawJWTAs("none", nil, flawClaims("ann")), nil),
		"whose claims were exchanged":    f.stored("ann", strings.Join(tampered, "."), nil),
		"of another account":             f.stored("ann", mint(ours, "eve", time.Hour, now), nil),
		"that is not in the store":       mint(ours, "ann", time.Hour, now),
		"that is no token":               f.stored("ann", "clm_anything", nil),
	} {
		t.Run("it refuses one "+name, func(t *testing.T) {
			if a := f.wantRefused(401, "GET", path, flawBearer(text), ""); a["error"] != "invalid_or_revoked_token" {
				t.Errorf("got %v", a)
			}
		})
	}
	t.Run("it takes a new one in place of an old one", func(*testing.T) {
		next := f.wantDone("POST", "/cli/token", flawBearer(good), "{}")["token"].(string)
		f.wantDone("POST", "/cli/session/revoke", nil, flawJSON(map[string]any{"token": good}))
		f.wantRefused(401, "GET", path, flawBearer(good), "")
		f.wantDone("GET", path, flawBearer(next), "")
	})
	t.Run("it refuses all of an account that the operator has disabled", func(t *testing.T) {
		_, err := f.store.ChangeAccount(t.Context(), "ann", func(a *store.Account) error { a.DisabledAt = now; return nil })
		if err != nil {
			t.Fatal(err)
		}
		f.wantRefused(401, "GET", path, flawBearer(f.ann), "")
	})
}

// The role that a sync token states was believed, and whoever signed in to the
// web application could have it state any, of any mesh.
func TestFlaw11SyncTokenNamesItsRole(t *testing.T) {
	f := newFlawRig(t, nil)
	if a := f.wantRefused(400, "POST", "/cli-sync", nil, flawSync(flawJWT([]byte(flawSecret), f.syncClaims("eve")), freshKey())); a["error"] != "no valid meshes found in sync token" {
		t.Errorf("eve, who is in no mesh: got %v", a)
	}
	if n := len(f.members()); n != 2 {
		t.Errorf("the mesh has %d members, want ann and bob", n)
	}
	key, _ := identity.NewKeypair()
	f.wantDone("POST", "/cli-sync", nil, flawSync(flawJWT([]byte(flawSecret), f.syncClaims("bob")), key.String()))
	m, err := f.store.Member(t.Context(), f.mesh.ID, key)
	if err != nil || m.Role != store.RoleMember || m.AccountID != "bob" {
		t.Errorf("bob's second key: got %+v, %v, want a plain member", m, err)
	}
	if role := f.row(f.bobMember).Role; role != store.RoleMember {
		t.Errorf("bob became %s", role)
	}
}

// One text key encrypted and signed.
func TestFlaw15OneKeyForTwoPurposes(t *testing.T) {
	f := newFlawRig(t, nil)
	key := atRest.Key()
	for name, secret := range map[string][]byte{
		"the encryption key":             key[:],
		"the text of the encryption key": []byte(hex.EncodeToString(key[:])),
		"no key at all":                  {},
	} {
		t.Run("it refuses a token signed with "+name, func(*testing.T) {
			text := f.stored("ann", flawJWT(secret, flawClaims("ann")), nil)
			f.wantRefused(401, "GET", "/api/my/profile", flawBearer(text), "")
			sync := flawSync(flawJWT(secret, f.syncClaims("bob")), freshKey())
			f.wantRefused(400, "POST", "/cli-sync", nil, sync)
		})
	}
}

// Session tokens and sync tokens had one secret, and only a claim told them
// apart.
func TestFlaw16SessionAndSyncTokensShareASecret(t *testing.T) {
	f := newFlawRig(t, nil)
	for _, claims := range []map[string]any{flawClaims("ann"), f.syncClaims("ann")} {
		text := f.stored("ann", flawJWT([]byte(flawSecret), claims), nil)
		f.wantRefused(401, "GET", "/api/my/profile", flawBearer(text), "")
	}
	both := f.syncClaims("bob")
	both["type"] = "cli-session"
	for name, text := range map[string]string{
		"a session token":                    f.bob,
		"a sync token that is a session too": flawJWT([]byte(flawSecret), both),
	} {
		a := f.wantRefused(400, "POST", "/cli-sync", nil, flawSync(text, freshKey()))
		if why, _ := a["error"].(string); !strings.HasPrefix(why, "sync token invalid: ") {
			t.Errorf("%s: got %v", name, a)
		}
	}
	good := flawSync(flawJWT([]byte(flawSecret), f.syncClaims("bob")), freshKey())
	f.wantDone("POST", "/cli-sync", nil, good)
	f.wantRefused(400, "POST", "/cli-sync", nil, good) // once
}

// Whoever named an account was that account, on by default in the sample for two
// nodes, beside an encryption key of zeros.
func TestFlaw20LegacyIsImpersonation(t *testing.T) {
	attack := func(f *flawRig, h http.Header, user string) {
		t.Helper()
		body := flawJSON(map[string]any{"user_id": user})
		f.unchanged(func() {
			f.wantRefused(401, "DELETE", "/cli/mesh/home", h, body)
			f.wantRefused(401, "GET", "/cli/meshes?user_id="+user, h, "")
			f.wantRefused(401, "POST", "/cli/mesh/home/invite", h, body)
			f.wantRefused(401, "POST", "/cli/mesh/home/grants", h, flawJSON(map[string]any{"user_id": user, "grants": map[string]any{}}))
			f.wantRefused(401, "POST", "/cli/mesh/create", h, flawJSON(map[string]any{"user_id": user, "name": "x", "pubkey": freshKey()}))
		})
	}
	t.Run("it is off unless the operator says so", func(t *testing.T) {
		attack(newFlawRig(t, nil), nil, "ann")
	})
	t.Run("it is off in the sample", func(t *testing.T) {
		for _, file := range []string{"compose.ha.yaml", "ha.env.example", "broker.service"} {
			text, err := os.ReadFile(filepath.Join("..", "..", "deploy", file))
			if err != nil {
				t.Fatal(err)
			}
			for _, bad := range []string{"LEGACY", "legacy-auth", strings.Repeat("00", 16)} {
				if strings.Contains(string(text), bad) {
					t.Errorf("%s has %s", file, bad)
				}
			}
		}
	})
	f := newFlawRig(t, flawLegacy)
	t.Run("it takes no account that does not exist", func(*testing.T) { attack(f, nil, "nobody") })
	t.Run("it does not speak for a bad bearer", func(*testing.T) { attack(f, flawBearer("expired"), "ann") })
	t.Run("it stays on its routes", func(*testing.T) {
		f.wantRefused(401, "GET", "/cli/sessions?user_id=ann", nil, "")
		f.wantRefused(401, "POST", "/cli/token", nil, `{"user_id":"ann","email":"ann@example.org"}`)
		f.wantRefused(401, "POST", "/cli/mesh/home/permissions", nil, flawPermissions("ann", f.bobMember.MemberID, `{"canInvite":true}`))
	})
	t.Run("it lets an operator bar an account", func(t *testing.T) {
		_, err := f.store.ChangeAccount(t.Context(), "ann", func(a *store.Account) error { a.NoLegacy = true; return nil })
		if err != nil {
			t.Fatal(err)
		}
		attack(f, nil, "ann")
	})
}

// flawLegacy enables legacy-auth.
func flawLegacy(c *config.Config) {
	for i := range c.Pipeline {
		if c.Pipeline[i].Stage == "legacy-auth" {
			c.Pipeline[i].Enabled = true
		}
	}
}

// A name in another script than Latin could not sign in.
func TestFlaw44NamesOutsideLatin(t *testing.T) {
	f := newFlawRig(t, nil)
	const name = "Жанна 山田 🚀"
	_, err := f.store.ChangeAccount(t.Context(), "ann", func(a *store.Account) error { a.Name = name; return nil })
	if err != nil {
		t.Fatal(err)
	}
	device, _, session := f.begin()
	f.wantDone("POST", "/cli/device-code/"+session+"/approve", flawBearer(f.ann), "{}")
	for _, text := range []string{
		f.poll(device)["session_token"].(string),
		f.wantDone("POST", "/cli/token", flawBearer(f.ann), flawJSON(map[string]any{"name": name}))["token"].(string),
	} {
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(text, ".")[1]) // as clients read it
		if err != nil {
			t.Fatal(err)
		}
		var claims struct{ Name string }
		if err := json.Unmarshal(payload, &claims); err != nil || claims.Name != name {
			t.Errorf("got %s, %v", payload, err)
		}
		if a := f.wantDone("GET", "/api/my/profile", flawBearer(text), ""); a["display_name"] != name {
			t.Errorf("got %v", a)
		}
	}
}

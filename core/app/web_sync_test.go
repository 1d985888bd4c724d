package app_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
)

// syncSecret is the key of the web application in these tests.
const syncSecret = "a secret of the web application, of more than 32 bytes"

func syncing(c *config.Config) {
	guessing(c)
	c.HTTP.SyncSecret = syncSecret
}

// syncToken is a token of the web application, after changes to its claims.
func syncToken(account string, edit func(claims map[string]any), meshes ...string) string {
	list := []map[string]any{}
	for _, m := range meshes {
		list = append(list, map[string]any{"id": m, "slug": "x", "role": "admin"})
	}
	now := time.Now()
	claims := map[string]any{
		"sub": account, "email": account + "@example.org", "meshes": list, "action": "sync", "jti": identity.NewUUID(),
		"iat": now.Unix(), "exp": now.Add(15 * time.Minute).Unix(),
	}
	if edit != nil {
		edit(claims)
	}
	return signedJWT(`{"alg":"HS256","typ":"JWT"}`, claims, syncSecret)
}

func signedJWT(header string, claims map[string]any, secret string) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func syncBody(token, pubkey, name string) string {
	return fmt.Sprintf(`{"sync_token":%q,"peer_pubkey":%q,"display_name":%q}`, token, pubkey, name)
}

func TestSync(t *testing.T) {
	r := newRig(t, syncing)
	ada := r.account("ada")
	slug, id := r.created(ada, "one", freshKey())
	r.enrolIn(r.mesh.ID, "ada", store.RoleMember)
	foreign := r.otherMesh(false)
	gone, goneID := r.created(ada, "gone", freshKey())
	r.wantOK(http.MethodDelete, "/cli/mesh/"+gone, ada, "")
	unasked, unaskedID := r.created(ada, "unasked", freshKey())
	_ = unasked

	// Flaw 11: the account gets what it has in each mesh, and none that it is not
	// in, whatever the token says.
	key, secret := identity.NewKeypair()
	token := syncToken("ada", nil, id, r.mesh.ID, r.mesh.ID, foreign.MeshID, goneID, "none")
	got := r.wantOK(http.MethodPost, "/cli-sync", "", syncBody(token, strings.ToUpper(key.String()), "laptop"))
	home, one := r.memberWith(r.mesh.ID, key.String()), r.memberWith(id, key.String())
	want := map[string]any{"ok": true, "account_id": "ada", "meshes": []any{
		map[string]any{"mesh_id": r.mesh.ID, "slug": "home", "broker_url": r.url, "member_id": home.ID, "role": "member"},
		map[string]any{"mesh_id": id, "slug": slug, "broker_url": r.url, "member_id": one.ID, "role": "admin"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	for _, m := range []*store.Member{home, one} {
		if m.AccountID != "ada" || m.DisplayName != "laptop" {
			t.Errorf("got %+v, want a member of ada's", m)
		}
	}
	for _, mesh := range []string{foreign.MeshID, goneID, unaskedID} {
		if _, err := r.store.Member(t.Context(), mesh, key); err == nil {
			t.Errorf("the key is a member of %s too", mesh)
		}
	}
	r.dial(session(dial.Identity{MeshID: r.mesh.ID, MemberID: home.ID, Key: secret}), dial.Options{})

	// The same key again keeps its members, and takes the new name where the mesh
	// lets members choose theirs; the token is good once.
	again := r.wantOK(http.MethodPost, "/cli-sync", "", syncBody(syncToken("ada", nil, id, r.mesh.ID), key.String(), "desk"))
	if list := again["meshes"].([]any); len(list) != 2 || list[0].(map[string]any)["member_id"] != home.ID {
		t.Errorf("again: got %v", again)
	}
	if m := r.memberWith(id, key.String()); m.DisplayName != "desk" || m.ID != one.ID {
		t.Errorf("again: got %+v, want the new name", m)
	}
	if m := r.memberWith(r.mesh.ID, key.String()); m.DisplayName != "laptop" {
		t.Errorf("again: got %+v, want the name that the mesh keeps", m)
	}
	r.wantRefusals(t, []asked{
		{"a token that was used", http.MethodPost, "/cli-sync", "", syncBody(token, freshKey(), "x"), 400, "sync token invalid: token already used"},
	})
}

// memberWith is the member that has a key.
func (r *rig) memberWith(mesh, pubkey string) *store.Member {
	r.t.Helper()
	list, err := r.store.ListMembers(r.t.Context(), mesh)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, m := range list {
		if m.Key.String() == pubkey {
			return m
		}
	}
	r.t.Fatalf("nobody has the key %s in %s", pubkey, mesh)
	return nil
}

func TestSyncRefusals(t *testing.T) {
	r := newRig(t, syncing)
	r.account("ada")
	r.enrolIn(r.mesh.ID, "ada", store.RoleMember)
	r.account("off")
	r.enrolIn(r.mesh.ID, "off", store.RoleMember)
	_, err := r.store.ChangeAccount(t.Context(), "off", func(a *store.Account) error { a.DisabledAt = time.Now(); return nil })
	if err != nil {
		t.Fatal(err)
	}
	const path = "/cli-sync"
	now := time.Now()
	with := func(name string, value any) string {
		return syncToken("ada", func(c map[string]any) {
			if c[name] = value; value == nil {
				delete(c, name)
			}
		}, r.mesh.ID)
	}
	claims := map[string]any{"sub": "ada", "email": "x", "meshes": []any{}, "jti": "j", "iat": now.Unix(), "exp": now.Unix() + 60}
	required := "sync_token, peer_pubkey, display_name required"
	key := freshKey()
	post := func(name, body, text string) asked { return asked{name, http.MethodPost, path, "", body, 400, text} }
	token := func(name, token, why string) asked {
		return post(name, syncBody(token, key, "x"), "sync token invalid: "+why)
	}
	good := syncToken("ada", nil, r.mesh.ID)
	r.wantRefusals(t, append(bodies(http.MethodPost, path, "", ""),
		post("nothing", "{}", required),
		post("no token", syncBody("", key, "x"), required),
		post("no name", syncBody(good, key, ""), required),
		post("a name that is a number", `{"sync_token":"x","peer_pubkey":"x","display_name":1}`, "display_name"),
		post("a name with control characters", syncBody(good, key, "a\nb"), "display_name"),
		post("a key that is none", syncBody(good, "zz", "x"), "peer_pubkey must be 64 hex chars (32 bytes)"),
		post("a key of small order", syncBody(good, smallOrder[1], "x"), "peer_pubkey must be an ed25519 key"),
		token("a token that is none", "x", "malformed JWT"),
		token("another key's token", signedJWT(`{"alg":"HS256"}`, claims, "another secret"), "invalid signature"),
		token("an unsigned token", signedJWT(`{"alg":"none"}`, claims, syncSecret), "unsupported algorithm: none"),
		token("a bearer token", r.account("ada"), "invalid signature"),
		token("a token that is over", with("exp", now.Add(-time.Minute).Unix()), "token expired"),
		token("a token of tomorrow", with("iat", now.Add(time.Hour).Unix()), "token issued in the future"),
		token("a token without end", with("exp", nil), "malformed JWT"),
		token("a token for a day", with("exp", now.Add(24*time.Hour).Unix()), "malformed JWT"),
		token("a token without an id", with("jti", nil), "missing jti"),
		token("a token of nobody", with("sub", nil), "missing sub or email"),
		token("a token without meshes", with("meshes", nil), "missing meshes array"),
		token("meshes that are a text", with("meshes", "all"), "missing meshes array"),
		token("an account with a NUL", with("sub", "a\x00b"), "malformed JWT"),
		token("an account without end", with("sub", strings.Repeat("a", 129)), "malformed JWT"),
		token("an account that is disabled", syncToken("off", nil, r.mesh.ID), "the account is disabled"),
		post("a token without a mesh", syncBody(syncToken("ada", nil), key, "x"), "no valid meshes found in sync token"),
		post("a mesh that is not the account's", syncBody(syncToken("new", nil, r.mesh.ID), key, "x"), "no valid meshes found in sync token"),
		asked{"a forged bearer token", http.MethodPost, path, "x", syncBody(good, key, "x"), 401, "invalid_or_revoked_token"},
		asked{"another method", http.MethodGet, path, "", "", 405, "this path answers"},
	))
	if list, err := r.store.ListMembers(t.Context(), r.mesh.ID); err != nil || len(list) != 2 {
		t.Errorf("got %d members, %v, want the two from before", len(list), err)
	}
	// The web application's account is here now, for the operator to let in.
	if a, err := r.store.Account(t.Context(), "new"); err != nil || a.Email != "new@example.org" {
		t.Errorf("got %+v, %v", a, err)
	}
	// The refused tokens were not spent.
	r.wantOK(http.MethodPost, path, "", syncBody(good, key, "x"))
}

func TestSyncWithoutSecret(t *testing.T) {
	r := newRig(t, nil)
	r.wantRefusals(t, []asked{{
		"every token", http.MethodPost, "/cli-sync", "", syncBody(syncToken("ada", nil, r.mesh.ID), freshKey(), "x"), 400,
		"sync token invalid: CLI_SYNC_SECRET not configured on broker",
	}})
}

// A key that is somebody's already is not the account's for the asking.
func TestSyncTakesNobodysMember(t *testing.T) {
	r := newRig(t, syncing)
	r.account("ada")
	r.enrolIn(r.mesh.ID, "ada", store.RoleMember)
	boss := r.member("boss", store.RoleAdmin)
	r.account("bo")
	bos := r.enrolIn(r.mesh.ID, "bo", store.RoleAdmin)
	banned := r.enrolIn(r.mesh.ID, "ada", store.RoleMember)
	r.revoke(banned)
	for name, id := range map[string]dial.Identity{"nobody's": boss, "bo's": bos, "a revoked": banned} {
		status, answer, _ := r.ask(http.MethodPost, "/cli-sync", "", syncBody(syncToken("ada", nil, r.mesh.ID), identityKey(id), "mine"))
		if status != 400 || answer["error"] != "no valid meshes found in sync token" {
			t.Errorf("%s member: got %d %v", name, status, answer)
		}
	}
	if m := r.memberWith(r.mesh.ID, identityKey(boss)); m.AccountID != "" || m.DisplayName != "boss" {
		t.Errorf("got %+v", m)
	}

	// Who signs the request with the key has it, and keeps its role.
	body := syncBody(syncToken("ada", nil, r.mesh.ID), identityKey(boss), "mine")
	proof := identity.SignHTTP(boss.Key, http.MethodPost, "/cli-sync", r.mesh.ID, []byte(body), time.Now())
	status, answer, _ := r.askWith(http.MethodPost, "/cli-sync", http.Header{"Authorization": {proof}}, body)
	if status != 200 {
		t.Fatalf("got %d %v", status, answer)
	}
	if m := r.memberWith(r.mesh.ID, identityKey(boss)); m.AccountID != "ada" || m.Role != store.RoleAdmin {
		t.Errorf("got %+v", m)
	}
}

func TestSyncTokenIsUsedOnce(t *testing.T) {
	r := newRig(t, syncing)
	r.account("ada")
	r.enrolIn(r.mesh.ID, "ada", store.RoleMember)
	token := syncToken("ada", nil, r.mesh.ID)
	var statuses [5]int
	var wg sync.WaitGroup
	for i := range statuses {
		body := syncBody(token, freshKey(), "x")
		wg.Go(func() { statuses[i], _, _ = r.ask(http.MethodPost, "/cli-sync", "", body) })
	}
	wg.Wait()
	counts := map[int]int{}
	for _, s := range statuses {
		counts[s]++
	}
	if counts[200] != 1 || counts[400] != len(statuses)-1 {
		t.Errorf("got %v, want one 200 and the others 400", counts)
	}
}

// A second member of somebody may do what the first one may, and each mesh of a
// sync has a record of it.
func TestSyncGivesWhatTheAccountHas(t *testing.T) {
	c := newCrew(t, syncing)
	c.edit("bo", func(m *store.Member) { m.Permissions = store.Permissions{store.CanSend: false, store.CanInvite: true} })
	c.enrol("bo", c.other, store.RoleAdmin, "bo")
	key, _ := identity.NewKeypair()
	c.wantOK(http.MethodPost, "/cli-sync", "", syncBody(syncToken("bo", nil, c.mesh.ID, c.other.ID), key.String(), "second"))
	home, other := c.memberWith(c.mesh.ID, key.String()), c.memberWith(c.other.ID, key.String())
	want := store.Permissions{store.CanSend: false, store.CanInvite: true}
	if d := cmp.Diff(want, home.Permissions); d != "" || len(other.Permissions) != 0 {
		t.Errorf("got %v and %v: %s", home.Permissions, other.Permissions, d)
	}
	for _, m := range []*store.Member{home, other} {
		page, n, err := c.store.AuditPage(t.Context(), m.MeshID, store.AuditMatch{Actor: m.ID, Event: "member_joined"}, 50, 0)
		if n != 1 || err != nil {
			t.Fatalf("got %d records of %s, %v; want one", n, m.ID, err)
		}
		want := fmt.Sprintf(`{"account":"bo","pubkey":%q,"role":%q,"via":"sync"}`, key.String(), m.Role)
		if string(page[0].Payload) != want {
			t.Errorf("got %s, want %s", page[0].Payload, want)
		}
	}

	// Again with the same key changes nothing that is worth a record; a member that
	// its key gives to the account is.
	c.wantOK(http.MethodPost, "/cli-sync", "", syncBody(syncToken("bo", nil, c.mesh.ID), key.String(), "second"))
	body := syncBody(syncToken("bo", nil, c.mesh.ID), identity.PublicKey(c.ids["cy"].Key).String(), "cy")
	if status, a := c.sign("cy", http.MethodPost, "/cli-sync", body); status != http.StatusOK {
		t.Fatalf("got %d %v", status, a)
	}
	c.records("member_joined", 1)
	if got := c.records("member_linked", 1); got[0]["member"] != c.id("cy") || got[0]["account"] != "bo" {
		t.Errorf("got %v", got)
	}
}

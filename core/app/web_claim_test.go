package app_test

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
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

// claimant is somebody who claims invites, with the key that becomes a member
// and the one that the root key is sealed to.
type claimant struct {
	key       ed25519.PrivateKey
	recipient *ecdh.PrivateKey
}

func newClaimant(t *testing.T) claimant {
	t.Helper()
	_, key := identity.NewKeypair()
	recipient, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return claimant{key, recipient}
}

func (c claimant) pubkey() string { return identity.PublicKey(c.key).String() }

// body is a claim of a code, after changes to what is sent.
func (c claimant) body(code string, edit func(map[string]any)) string {
	proof := identity.SignClaim(c.key, code, identity.SealKey(c.recipient.PublicKey().Bytes()), time.Now())
	fields := map[string]any{
		"recipient_x25519_pubkey": proof.RecipientKey, "peer_pubkey": proof.PeerPubkey, "signature": proof.Signature,
		"timestamp": json.Number(proof.TimestampToken),
	}
	if edit != nil {
		edit(fields)
	}
	b, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// inviteCode makes an invite to a mesh and returns its code.
func (r *rig) inviteCode(bearer, slug, body string) string {
	r.t.Helper()
	return r.wantOK(http.MethodPost, "/cli/mesh/"+slug+"/invite", bearer, body)["code"].(string)
}

func claimPath(code string) string { return "/invites/" + code + "/claim" }

func TestClaim(t *testing.T) {
	r := newRig(t, guessing)
	ada := r.account("ada")
	slug, id := r.created(ada, "one", freshKey())
	mesh, err := r.store.Mesh(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	code := r.inviteCode(ada, slug, `{"role":"admin"}`)
	row, err := r.store.InviteByCode(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	bo := newClaimant(t)
	got := r.wantOK(http.MethodPost, claimPath(code), "", bo.body(code, nil))
	member, err := r.store.Member(t.Context(), id, identity.PublicKey(bo.key))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"mesh_id": id, "member_id": member.ID, "owner_pubkey": mesh.OwnerKey.String(), "sealed_root_key": got["sealed_root_key"],
		"canonical_v2": fmt.Sprintf("v=2|%s|%s|%d|admin|%s", id, row.ID, row.ExpiresAt.Unix(), mesh.OwnerKey),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	sealed, err := base64.RawURLEncoding.DecodeString(got["sealed_root_key"].(string))
	if err != nil {
		t.Fatal(err)
	}
	root, err := identity.OpenAnonymous([32]byte(bo.recipient.Bytes()), sealed)
	if err != nil {
		t.Fatalf("the root key cannot be opened: %v", err)
	}
	if want, err := atRest.OpenFor(identity.RootKeyAtRest, mesh.ID, mesh.RootKey); err != nil || string(root) != string(want) {
		t.Errorf("the root key is another one: %v", err)
	}
	if member.Role != store.RoleAdmin || member.DisplayName != "member-"+bo.pubkey()[:8] || member.AccountID != "" {
		t.Errorf("got the member %+v", member)
	}
	// Flaw 37: who claims an invite can connect.
	r.dial(session(dial.Identity{MeshID: id, MemberID: member.ID, Key: bo.key}), dial.Options{})
	r.wantRecord(id, "member_joined", member.ID)

	// The same key is the same member, spends nothing, and gets the root key
	// again. An account that asks does not get it.
	status, again, _ := r.ask(http.MethodPost, claimPath(code), r.account("bo"), bo.body(code, nil))
	if status != 200 || again["member_id"] != member.ID || again["already_member"] != true || again["sealed_root_key"] == nil {
		t.Errorf("again: got %d %v", status, again)
	}
	if m, err := r.store.AccountMember(t.Context(), id, "bo"); err == nil {
		t.Errorf("bo has %+v", m)
	}
	if row, err := r.store.InviteByCode(t.Context(), code); err != nil || row.UsedCount != 1 {
		t.Errorf("got %+v, %v, want one use", row, err)
	}

	// A code that was typed, a name, and a link to an account behind it.
	code = r.inviteCode(ada, slug, `{}`)
	cy := newClaimant(t)
	typed := strings.ToLower(code[:4]) + "-" + code[4:]
	r.wantOK(http.MethodPost, claimPath(typed), r.account("cy"), cy.body(typed, func(m map[string]any) { m["display_name"] = "Cy" }))
	p := identity.SignLink(cy.key, id, "cy", time.Now())
	r.wantOK(http.MethodPost, "/cli/mesh/"+slug+"/link", r.account("cy"),
		fmt.Sprintf(`{"pubkey":%q,"timestamp":%s,"signature":%q}`, p.Pubkey, p.TimestampToken, p.Signature))
	if m := r.memberOf(id, "cy"); m.DisplayName != "Cy" || m.Role != store.RoleMember {
		t.Errorf("got the member %+v of cy", m)
	}
}

// Refusals come in one order: each case also has what the cases below refuse.
// None of them spends a use (flaw 37).
func TestClaimRefusals(t *testing.T) {
	r := newRig(t, guessing)
	ada := r.account("ada")
	slug, id := r.created(ada, "one", freshKey())
	mesh, err := r.store.Mesh(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	gone, goneID := r.created(ada, "gone", freshKey())
	archived := r.inviteCode(ada, gone, `{}`)
	r.wantOK(http.MethodDelete, "/cli/mesh/"+gone, ada, "")
	good := r.inviteCode(ada, slug, `{}`)
	me := newClaimant(t)
	put := func(edit func(*store.Invite)) string {
		row := &store.Invite{
			ID: identity.NewID(), MeshID: id, TokenHash: store.HashInvite(identity.NewID()), Code: identity.NewInviteCode(), MaxUses: 1, Role: store.RoleMember,
			ExpiresAt: time.Now().Add(time.Hour).Truncate(time.Second), CreatedAt: time.Now(),
		}
		edit(row)
		if err := r.store.CreateInvite(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		return row.Code
	}
	past := time.Now().Add(-time.Hour)
	banned := newClaimant(t)
	bannedCode := r.inviteCode(ada, slug, `{}`)
	answer := r.wantOK(http.MethodPost, claimPath(bannedCode), "", banned.body(bannedCode, nil))
	if err := r.store.SetRevoked(t.Context(), answer["member_id"].(string), time.Now()); err != nil {
		t.Fatal(err)
	}
	set := func(name string, value any) func(map[string]any) { return func(m map[string]any) { m[name] = value } }
	small := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	tests := []struct {
		name, code, body string
		status           int
		error            string
	}{
		{"no body", good, "", 400, "malformed"},
		{"a body that is no JSON", good, "{", 400, "malformed"},
		{"null", good, "null", 400, "malformed"},
		{"a list", good, "[]", 400, "malformed"},
		{"one byte too many", good, padded(65537), 413, "payload too large"},
		{"no recipient key", good, me.body(good, func(m map[string]any) { delete(m, "recipient_x25519_pubkey") }), 400, "malformed"},
		{"a recipient key of null", good, me.body(good, set("recipient_x25519_pubkey", nil)), 400, "malformed"},
		{"a recipient key that is a number", good, me.body(good, set("recipient_x25519_pubkey", 1)), 400, "malformed"},
		{"a signature that is a list", good, me.body(good, set("signature", []int{1})), 400, "malformed"},
		{"a recipient key that is short", good, me.body(good, set("recipient_x25519_pubkey", "AAAA")), 400, "malformed"},
		{"a recipient key that is no key", good, me.body(good, set("recipient_x25519_pubkey", strings.Repeat("A", 42))), 400, "malformed"},
		{"a recipient key that keeps no secret", good, me.body(good, set("recipient_x25519_pubkey", small)), 400, "malformed"},
		{"a name without end", good, me.body(good, set("display_name", strings.Repeat("n", 257))), 400, "malformed"},
		{"a name with control characters", good, me.body(good, set("display_name", "a\x07")), 400, "malformed"},
		{"a time that is long ago", good, me.body(good, set("timestamp", 1)), 400, "timestamp_skew"},
		{"a time that is a text", good, me.body(good, set("timestamp", "1")), 400, "timestamp_skew"},
		{"a key that is none", good, me.body(good, set("peer_pubkey", "zz")), 400, "malformed"},
		{"a signature that is none", good, me.body(good, set("signature", "zz")), 400, "malformed"},
		{"a code that nobody has", "NQNEQQQQ", me.body("x", nil), 404, "not_found"},
		{"a code of a mesh that is no more", archived, me.body("x", nil), 404, "not_found"},
		{"an invite that was withdrawn", put(func(i *store.Invite) { i.RevokedAt, i.ExpiresAt = past, past }), me.body("x", nil), 410, "revoked"},
		{"an invite that is over", put(func(i *store.Invite) { i.ExpiresAt, i.UsedCount = past, 1 }), me.body("x", nil), 410, "expired"},
		{"an invite that is used up", put(func(i *store.Invite) { i.UsedCount = 1 }), me.body("x", nil), 410, "exhausted"},
		{"another claim's signature", good, me.body("x", nil), 400, "bad_signature"},
		{"another key's signature", good, me.body(good, set("peer_pubkey", freshKey())), 400, "bad_signature"},
		{"a key of small order", good, me.body(good, set("peer_pubkey", smallOrder[1])), 400, "bad_signature"},
	}
	for _, tt := range tests {
		t.Run("it refuses "+tt.name, func(t *testing.T) {
			status, answer, _ := r.ask(http.MethodPost, claimPath(tt.code), "", tt.body)
			if status != tt.status || answer["error"] != tt.error || answer["ok"] != false {
				t.Errorf("got %d %v, want %d %s", status, answer, tt.status, tt.error)
			}
		})
	}
	t.Run("it refuses a key that was revoked", func(t *testing.T) {
		status, answer, _ := r.ask(http.MethodPost, claimPath(good), "", banned.body(good, nil))
		if status != 410 || answer["error"] != "revoked" || answer["detail"] == nil {
			t.Errorf("got %d %v", status, answer)
		}
	})
	t.Run("it refuses an invite that nobody signed", func(t *testing.T) {
		code := put(func(*store.Invite) {})
		status, answer, _ := r.ask(http.MethodPost, claimPath(code), "", me.body(code, nil))
		if status != 400 || answer["error"] != "malformed" {
			t.Errorf("got %d %v", status, answer)
		}
	})
	t.Run("it refuses an invite that was changed", func(t *testing.T) {
		row, err := r.store.InviteByCode(t.Context(), good)
		if err != nil {
			t.Fatal(err)
		}
		code := put(func(i *store.Invite) { i.Capability = row.Capability })
		status, answer, _ := r.ask(http.MethodPost, claimPath(code), "", me.body(code, nil))
		if status != 400 || answer["error"] != "bad_signature" {
			t.Errorf("got %d %v", status, answer)
		}
	})
	r.wantRefusals(t, []asked{
		{"a forged token", http.MethodPost, claimPath(good), "x", me.body(good, nil), 401, "invalid_or_revoked_token"},
		{"another method", http.MethodGet, claimPath(good), "", "", 405, "this path answers"},
	})
	if _, err := r.store.Member(t.Context(), goneID, identity.PublicKey(me.key)); err == nil {
		t.Error("a refused claim has enrolled its key")
	}
	if _, err := r.store.Member(t.Context(), mesh.ID, identity.PublicKey(me.key)); err == nil {
		t.Error("a refused claim has enrolled its key")
	}
	if row, err := r.store.InviteByCode(t.Context(), good); err != nil || row.UsedCount != 0 {
		t.Errorf("the refusals have spent the invite: %+v, %v", row, err)
	}
	r.wantOK(http.MethodPost, claimPath(good), "", me.body(good, nil))
}

// Clients of the original send the x25519 key alone. They get the answer that
// they know, and it says what to do.
func TestClaimWithoutProof(t *testing.T) {
	r := newRig(t, guessing)
	ada := r.account("ada")
	slug, _ := r.created(ada, "one", freshKey())
	code := r.inviteCode(ada, slug, `{}`)
	key := base64.RawURLEncoding.EncodeToString(newClaimant(t).recipient.PublicKey().Bytes())
	for _, code := range []string{code, "NQNEQQQQ"} {
		status, answer, _ := r.ask(http.MethodPost, claimPath(code), "", fmt.Sprintf(`{"recipient_x25519_pubkey":%q}`, key))
		detail, _ := answer["detail"].(string)
		if status != 501 || answer["error"] != "invite_v2_disabled" || !strings.Contains(detail, "link") {
			t.Errorf("got %d %v, want 501 and what to do", status, answer)
		}
	}
	if row, err := r.store.InviteByCode(t.Context(), code); err != nil || row.UsedCount != 0 {
		t.Errorf("got %+v, %v, want no use spent", row, err)
	}
}

func TestClaimsOff(t *testing.T) {
	r := newRig(t, func(c *config.Config) { c.HTTP.Claims = false })
	ada := r.account("ada")
	slug, _ := r.created(ada, "one", freshKey())
	code := r.inviteCode(ada, slug, `{}`)
	status, answer, _ := r.ask(http.MethodPost, claimPath(code), "", newClaimant(t).body(code, nil))
	detail, _ := answer["detail"].(string)
	if status != 501 || answer["error"] != "invite_v2_disabled" || !strings.Contains(detail, "cannot be claimed") {
		t.Errorf("got %d %v", status, answer)
	}
}

func TestOneUseIsClaimedOnce(t *testing.T) {
	r := newRig(t, guessing)
	ada := r.account("ada")
	slug, _ := r.created(ada, "one", freshKey())
	code := r.inviteCode(ada, slug, `{}`)
	errors := make([]any, 5)
	var wg sync.WaitGroup
	for i := range errors {
		body := newClaimant(t).body(code, nil)
		wg.Go(func() {
			_, answer, _ := r.ask(http.MethodPost, claimPath(code), "", body)
			errors[i] = answer["error"]
		})
	}
	wg.Wait()
	counts := map[any]int{}
	for _, e := range errors {
		counts[e]++
	}
	if counts[nil] != 1 || counts["exhausted"] != len(errors)-1 {
		t.Errorf("got %v, want one claim and the others exhausted", counts)
	}
}

// The same key that claims several times at once becomes one member.
func TestOneKeyClaimsOnce(t *testing.T) {
	r := newRig(t, guessing)
	ada := r.account("ada")
	slug, _ := r.created(ada, "one", freshKey())
	code := r.inviteCode(ada, slug, `{}`)
	me := newClaimant(t)
	members := make([]any, 5)
	var wg sync.WaitGroup
	for i := range members {
		body := me.body(code, nil)
		wg.Go(func() {
			_, answer, _ := r.ask(http.MethodPost, claimPath(code), "", body)
			members[i] = answer["member_id"]
		})
	}
	wg.Wait()
	for _, m := range members {
		if m == nil || m != members[0] {
			t.Errorf("got %v, want one member", members)
		}
	}
	if row, err := r.store.InviteByCode(t.Context(), code); err != nil || row.UsedCount != 1 {
		t.Errorf("got %+v, %v, want one use", row, err)
	}
}

// Flaw 39: who joins while signed in gets a member of the account.
func TestJoinLinksTheAccount(t *testing.T) {
	r := newRig(t, guessing)
	inv := r.invite(r.owner, func(i *invitation) { i.row.MaxUses = 9 })
	ada := r.account("ada")
	key, secret := identity.NewKeypair()
	signed := func(account string) string {
		p := identity.SignLink(secret, r.mesh.ID, account, time.Now())
		return strings.TrimSuffix(inv.body(key.String(), "ada"), "}") +
			`,"timestamp":` + string(p.TimestampToken) + `,"signature":"` + p.Signature + `"}`
	}
	r.wantRefusals(t, []asked{
		{"a join whose key agrees to another account", http.MethodPost, "/join", ada, signed("bob"), 400, "bad_signature"},
	})
	r.wantOK(http.MethodPost, "/join", ada, signed("ada"))
	if m := r.memberOf(r.mesh.ID, "ada"); m.Key != key {
		t.Errorf("got the member %+v", m)
	}

	// A key that has not agreed belongs to nobody: it may be somebody else's.
	r.wantOK(http.MethodPost, "/join", r.account("mal"), inv.body(freshKey(), "victim"))
	if m, err := r.store.AccountMember(t.Context(), r.mesh.ID, "mal"); err == nil {
		t.Errorf("mal has become %+v", m)
	}

	// A key that has joined before is nobody's to take: a join does not prove it.
	bo := r.member("bo", store.RoleAdmin)
	got := r.wantOK(http.MethodPost, "/join", r.account("eve"), inv.body(identityKey(bo), "eve"))
	if got["alreadyMember"] != true || got["memberId"] != bo.MemberID {
		t.Errorf("got %v", got)
	}
	if m, err := r.store.AccountMember(t.Context(), r.mesh.ID, "eve"); err == nil {
		t.Errorf("eve has become %+v", m)
	}
	r.wantRefusals(t, []asked{
		{"a join with a forged token", http.MethodPost, "/join", "x", inv.body(freshKey(), "x"), 401, "invalid_or_revoked_token"},
	})
}

// Whoever has an invite knows the owner's key, which stands in it.
func TestJoinTakesNoOwnerKey(t *testing.T) {
	r := newRig(t, guessing)
	inv := r.invite(r.owner, func(i *invitation) { i.row.MaxUses = 9 })
	mal := r.account("mal")
	r.wantRefusals(t, []asked{
		{"the owner's key", http.MethodPost, "/join", mal, inv.body(r.mesh.OwnerKey.String(), "mal"), 400, "forbidden"},
		{"what an owner may do", http.MethodDelete, "/cli/mesh/home", mal, "", 403, "Only the mesh owner"},
	})
}

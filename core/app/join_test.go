package app_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
)

// invitation is an invite as it is handed out, with its row.
type invitation struct {
	payload identity.InviteV1
	token   string
	row     store.Invite
}

// invite signs an invite and stores it, after changes to either.
func (r *rig) invite(owner ed25519.PrivateKey, edit func(*invitation)) invitation {
	r.t.Helper()
	inv := invitation{
		payload: identity.InviteV1{
			MeshID: r.mesh.ID, MeshSlug: "home", BrokerURL: "ws://localhost/ws", ExpiresAt: time.Now().Add(time.Hour).Unix(),
			MeshRootKey: "cm9vdA", Role: identity.RoleMember,
		},
		row: store.Invite{
			ID: identity.NewID(), MeshID: r.mesh.ID, MaxUses: 1, Role: store.RoleMember,
			ExpiresAt: time.Now().Add(time.Hour), CreatedAt: time.Now(),
		},
	}
	inv.payload.MeshSlug = "home-" + inv.row.ID // makes the token unlike others
	if edit != nil {
		edit(&inv)
	}
	if err := inv.payload.Sign(owner); err != nil {
		r.t.Fatal(err)
	}
	var err error
	if inv.token, err = inv.payload.Token(); err != nil {
		r.t.Fatal(err)
	}
	if inv.row.ID == "" {
		return inv // never handed out
	}
	inv.row.TokenHash = store.HashInvite(inv.token)
	if err := r.store.CreateInvite(context.Background(), &inv.row); err != nil {
		r.t.Fatal(err)
	}
	return inv
}

// body is the request to join with an invite.
func (i invitation) body(key, name string) string {
	body, err := json.Marshal(map[string]any{
		"invite_token": i.token, "invite_payload": i.payload, "peer_pubkey": key, "display_name": name,
	})
	if err != nil {
		panic(err)
	}
	return string(body)
}

// join asks to be enrolled, and returns the status and the reply.
func (r *rig) join(body string) (status int, reply joined) {
	r.t.Helper()
	status, text, _ := r.request(http.MethodPost, "/join", body)
	if err := json.Unmarshal([]byte(text), &reply); err != nil {
		r.t.Fatalf("got %d %q: %v", status, text, err)
	}
	return status, reply
}

type joined struct {
	OK            bool
	Error         string
	MemberID      string
	AlreadyMember bool
}

func TestJoin(t *testing.T) {
	r := newRig(t, nil)
	inv := r.invite(r.owner, func(i *invitation) {
		i.row.MaxUses = 2
		i.row.Preset = store.Preset{RoleTag: "tester", Groups: []store.Group{{Name: "dev"}}}
	})
	key, secret := identity.NewKeypair()
	status, first := r.join(inv.body(key.String(), "ada"))
	if status != 200 || !first.OK || len(first.MemberID) != 32 || first.AlreadyMember || first.Error != "" {
		t.Fatalf("got %d %+v, want a member", status, first)
	}

	// The member can connect at once, and is what the invite made it.
	id := session(dial.Identity{MeshID: r.mesh.ID, MemberID: first.MemberID, Key: secret})
	p := r.dial(id, dial.Options{PlainHello: true})
	ack := p.HelloAck()
	if ack.MemberDisplayName != "ada" || *ack.MemberProfile.RoleTag != "tester" || ack.MemberProfile.Groups[0].Name != "dev" {
		t.Errorf("hello_ack: got %+v, want ada the tester of dev", ack)
	}

	// Who joins again is a member already and spends no use.
	status, again := r.join(inv.body(strings.ToUpper(key.String()), "ada"))
	if status != 200 || !again.OK || !again.AlreadyMember || again.MemberID != first.MemberID {
		t.Errorf("again: got %d %+v, want the same member", status, again)
	}
	if _, other := r.join(inv.body(freshKey(), "bo")); !other.OK {
		t.Errorf("another: got %+v, want a member", other)
	}
	if status, third := r.join(inv.body(freshKey(), "cy")); status != 400 || third.Error != "invite_exhausted" {
		t.Errorf("one too many: got %d %+v, want invite_exhausted", status, third)
	}
	if _, again := r.join(inv.body(key.String(), "ada")); !again.AlreadyMember {
		t.Errorf("a member with an invite that is used up: got %+v, want alreadyMember", again)
	}
}

// Refusals come in one order: each case also has what the cases below refuse.
func TestJoinRefusals(t *testing.T) {
	r := newRig(t, nil)
	_, other := identity.NewKeypair()
	ownerless := &store.Mesh{ID: identity.NewID(), Slug: "ownerless", CreatedAt: time.Now()}
	if err := r.store.CreateMesh(t.Context(), ownerless, nil); err != nil {
		t.Fatal(err)
	}
	archived := r.otherMesh(true)
	revoked := r.member("revoked", store.RoleMember)
	r.revoke(revoked)
	never := func(i *invitation) { i.row.ID = "" }
	past := time.Now().Add(-time.Hour)
	in := func(mesh string) func(*invitation) { return func(i *invitation) { i.payload.MeshID = mesh; never(i) } }
	forged := r.invite(other, in("no-such-mesh"))
	forged.payload.Signature = strings.Repeat("00", 64)
	exhausted := r.invite(r.owner, nil)
	if _, reply := r.join(exhausted.body(freshKey(), "first")); !reply.OK {
		t.Fatalf("the one use: %+v", reply)
	}
	mismatched := r.invite(r.owner, nil)
	mismatched.payload = r.invite(r.owner, never).payload

	good := r.invite(r.owner, nil)
	tests := []struct {
		name string
		body string
		code string // or how the prose begins
	}{
		{"a body that is no JSON", `{"invite_token"`, "the body must be a JSON object"},
		{"null", "null", "the body must be a JSON object"},
		{"a list", "[]", "the body must be a JSON object"},
		{"an object of nothing", "{}", "invite_token, invite_payload, peer_pubkey, display_name required"},
		{"a payload that is a text", `{"invite_token":"x","invite_payload":"x","peer_pubkey":"x","display_name":"x"}`, "invite_payload"},
		{"no name", forged.body("short", ""), "invite_token, invite_payload, peer_pubkey, display_name required"},
		{"a key that is none", forged.body("short", "x"), "peer_pubkey must be 64 hex"},
		{"a key of small order", forged.body(smallOrder[1], "x"), "peer_pubkey must be"},
		{"a signature that is none", forged.body(freshKey(), "x"), "invite_bad_signature"},
		{"a mesh that is none", r.invite(other, in("no-such-mesh")).body(freshKey(), "x"), "mesh_not_found"},
		{"a mesh that is no more", r.invite(other, in(archived.MeshID)).body(freshKey(), "x"), "mesh_not_found"},
		{"a mesh without an owner", r.invite(other, in(ownerless.ID)).body(freshKey(), "x"), "mesh_missing_owner_key"},
		{"another owner's signature", r.invite(other, never).body(freshKey(), "x"), "invite_owner_mismatch"},
		{"an invite that was never handed out", r.invite(r.owner, never).body(freshKey(), "x"), "invite_not_found"},
		{"an invite of another mesh", r.invite(r.owner, func(i *invitation) {
			i.row.MeshID, i.row.RevokedAt = ownerless.ID, past
		}).body(freshKey(), "x"), "invite_mesh_mismatch"},
		{"a payload of another invite", mismatched.body(freshKey(), "x"), "invite_bad_signature"},
		{"an invite that was withdrawn", r.invite(r.owner, func(i *invitation) {
			i.row.RevokedAt, i.row.ExpiresAt = past, past
		}).body(freshKey(), "x"), "invite_revoked"},
		{"an invite that is over", r.invite(r.owner, func(i *invitation) {
			i.row.ExpiresAt, i.row.UsedCount = past, 1
		}).body(freshKey(), "x"), "invite_expired"},
		{"an invite that is used up", exhausted.body(freshKey(), "x"), "invite_exhausted"},
		{"a key that was revoked", good.body(identityKey(revoked), "x"), "revoked"},
	}
	for _, tt := range tests {
		t.Run("it refuses "+tt.name, func(t *testing.T) {
			status, reply := r.join(tt.body)
			if status != 400 || reply.OK || !strings.HasPrefix(reply.Error, tt.code) || reply.MemberID != "" {
				t.Errorf("got %d %+v, want 400 %s", status, reply, tt.code)
			}
		})
	}
	t.Run("it refuses a body that is too large", func(t *testing.T) {
		if status, reply := r.join(`{"invite_token":"` + strings.Repeat("x", 64<<10) + `"}`); status != 413 || reply.Error != "payload too large" {
			t.Errorf("got %d %+v, want 413", status, reply)
		}
	})
	if _, reply := r.join(good.body(freshKey(), "x")); !reply.OK {
		t.Errorf("the refusals have spent the invite: %+v", reply)
	}
}

func identityKey(id dial.Identity) string { return identity.PublicKey(id.Key).String() }

func TestOneUseIsSpentOnce(t *testing.T) {
	r := newRig(t, nil)
	inv := r.invite(r.owner, nil)
	const joins = 5
	replies := make([]joined, joins)
	var wg sync.WaitGroup
	for i := range joins {
		body := inv.body(freshKey(), "x")
		wg.Go(func() { _, replies[i] = r.join(body) })
	}
	wg.Wait()
	counts := map[string]int{}
	for _, reply := range replies {
		counts[reply.Error]++
	}
	if counts[""] != 1 || counts["invite_exhausted"] != joins-1 {
		t.Errorf("got %v, want one success and the others invite_exhausted", counts)
	}
}

// The same key that joins several times at once becomes one member.
func TestOneKeyJoinsOnce(t *testing.T) {
	r := newRig(t, nil)
	inv := r.invite(r.owner, func(i *invitation) { i.row.MaxUses = 5 })
	body := inv.body(freshKey(), "x")
	replies := make([]joined, 5)
	var wg sync.WaitGroup
	for i := range replies {
		wg.Go(func() { _, replies[i] = r.join(body) })
	}
	wg.Wait()
	for _, reply := range replies {
		if !reply.OK || reply.MemberID != replies[0].MemberID {
			t.Errorf("got %+v, want the same member %s for all", reply, replies[0].MemberID)
		}
	}
	row, err := r.store.InviteByToken(t.Context(), inv.token)
	if err != nil || row.UsedCount != 1 {
		t.Errorf("uses: got %+v, %v, want one", row, err)
	}
}

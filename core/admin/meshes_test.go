package admin_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/identity"
)

func TestCreateMesh(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	m := r.mesh(t, "  Blue Team! ", 3)

	if m.Name != "Blue Team!" || m.Slug != "blue-team" || len(m.Members) != 3 {
		t.Fatalf("got %+v", m)
	}
	rows, err := r.store.ListMembers(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct{ name, role string }{{"member-1", "admin"}, {"member-2", "member"}, {"member-3", "member"}} {
		got := m.Members[i]
		secret, err := identity.ParseSecret(got.SecretKey)
		if err != nil || len(got.SecretKey) != 64 || identity.PublicKey(secret) != got.Key {
			t.Errorf("%s: the secret is not the seed of its public key (%v)", got.DisplayName, err)
		}
		row := rows[i]
		if row.ID != got.ID || row.Key != got.Key || row.DisplayName != want.name || string(row.Role) != want.role ||
			got.DisplayName != want.name || got.Role != want.role || row.MessageMode != "push" {
			t.Errorf("member %d: got %+v, stored %+v", i, got, row)
		}
	}
	wantInvite(t, r, m.Invite, m.Owner, m.ID, "member", 100)
}

// wantInvite checks a token against its row.
func wantInvite(t *testing.T, r *rig, token string, owner interface{ String() string }, meshID, role string, uses int) {
	t.Helper()
	inv, err := identity.ParseToken(token)
	if err != nil || !inv.VerifySignature() {
		t.Fatalf("token: %v, signature good: %v", err, inv.VerifySignature())
	}
	row, err := r.store.InviteByToken(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if inv.OwnerPubkey != owner.String() || inv.MeshID != meshID || inv.BrokerURL != brokerURL || inv.Role != role ||
		inv.ExpiresAt != row.ExpiresAt.Unix() || string(row.Role) != role || row.MaxUses != uses || row.MeshID != meshID {
		t.Errorf("got %+v, row %+v", inv, row)
	}
}

// TestKeys holds what can be done without the key that seals secrets.
func TestKeys(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.mesh(t, "home", 1)
	none := admin.New(r.store, nil, admin.Hooks{URL: func() string { return brokerURL }})
	_, err := none.CreateInvite(t.Context(), "home", admin.InviteOptions{})
	wantCode(t, err, "encryption_key")
	_, err = none.CreateMesh(t.Context(), "other", admin.MeshOptions{})
	wantCode(t, err, "encryption_key")
	_, err = none.CheckKey(t.Context())
	wantCode(t, err, "encryption_key")
	if _, err := none.ListMembers(t.Context(), "home"); err != nil {
		t.Errorf("reading without a key: %v", err)
	}
	if _, err := r.CheckKey(t.Context()); err != nil {
		t.Errorf("check of the right key: %v", err)
	}
}

func TestCreateMeshRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	_, err := r.CreateMesh(t.Context(), " ", admin.MeshOptions{})
	wantCode(t, err, "invalid_argument")
	for _, n := range []int{-1, admin.MaxMembers + 1} {
		_, err := r.CreateMesh(t.Context(), "crowd", admin.MeshOptions{Members: n})
		wantCode(t, err, "invalid_argument")
	}
	if list, err := r.ListMeshes(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("got %+v, %v", list, err)
	}
}

func TestListMeshes(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	a, b := r.mesh(t, "one", 2), r.mesh(t, "two", 0)
	list, err := r.ListMeshes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, m := range list {
		if m.CreatedAt.IsZero() {
			t.Errorf("%s has no time of creation", m.Slug)
		}
		got[m.ID+m.Owner.String()] = m.Members
	}
	want := map[string]int{a.ID + a.Owner.String(): 2, b.ID + b.Owner.String(): 0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestNewMeshJSON holds the names that other tools read.
func TestNewMeshJSON(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(admin.NewMesh{ID: "i", Slug: "s", Name: "n", Invite: "t", Members: []admin.NewMember{
		{ID: "m", DisplayName: "d", Role: "admin", SecretKey: "k"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"meshId":"i","slug":"s","name":"n","ownerPubkey":"","invite":"t","members":[` +
		`{"memberId":"m","displayName":"d","role":"admin","pubkey":"","secretKey":"k"}]}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

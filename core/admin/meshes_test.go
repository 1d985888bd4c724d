package admin_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
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

// TestSecretsAtRest holds that what the store has can neither be read nor used
// without the key.
func TestSecretsAtRest(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	m := r.mesh(t, "home", 1)
	row, err := r.store.Mesh(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	inv, err := identity.ParseToken(m.Invite)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(row.RootKey, inv.MeshRootKey) || row.RootKey == "" || row.OwnerSecret == "" {
		t.Error("secrets are not sealed")
	}

	hooks := admin.Hooks{URL: func() string { return brokerURL }}
	other := admin.New(r.store, identity.NewAtRest([identity.AtRestKeySize]byte{2}), hooks)
	_, err = other.CreateInvite(t.Context(), "home", admin.InviteOptions{})
	wantCode(t, err, "encryption_key")
	wantCode(t, other.CheckKey(t.Context()), "encryption_key")

	none := admin.New(r.store, nil, hooks)
	_, err = none.CreateInvite(t.Context(), "home", admin.InviteOptions{})
	wantCode(t, err, "encryption_key")
	_, err = none.CreateMesh(t.Context(), "other", 0)
	wantCode(t, err, "encryption_key")
	if _, err := none.ListMembers(t.Context(), "home"); err != nil {
		t.Errorf("reading without a key: %v", err)
	}
	if err := r.CheckKey(t.Context()); err != nil {
		t.Errorf("check of the right key: %v", err)
	}
}

// TestForeignOwnerKey holds that an owner secret is only used for the key that
// the mesh names.
func TestForeignOwnerKey(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	key, _ := identity.NewKeypair()
	_, secret := identity.NewKeypair()
	mesh := &store.Mesh{
		ID: identity.NewID(), Slug: "odd", Name: "odd", OwnerKey: key,
		OwnerSecret: r.keys.Seal(secret.Seed()), RootKey: r.keys.Seal(make([]byte, 32)),
	}
	if err := r.store.CreateMesh(t.Context(), mesh, nil); err != nil {
		t.Fatal(err)
	}
	_, err := r.CreateInvite(t.Context(), "odd", admin.InviteOptions{})
	wantCode(t, err, "owner_key")
}

func TestSlugs(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for _, tt := range []struct{ name, slug string }{
		{"home", "home"},
		{"Home", "home-2"},
		{"home", "home-3"},
		{"a|b / c", "a-b-c"},
		{"ünïcode", "n-code"},
		{"日本", "mesh"},
		{"--", "mesh-2"},
		{strings.Repeat("x", 100), strings.Repeat("x", 48)},
	} {
		if m := r.mesh(t, tt.name, 0); m.Slug != tt.slug {
			t.Errorf("%q: got slug %q, want %q", tt.name, m.Slug, tt.slug)
		}
	}
	for _, name := range []string{"", "  ", "a\nb", strings.Repeat("x", 129), "\xff"} {
		_, err := r.CreateMesh(t.Context(), name, 0)
		wantCode(t, err, "invalid_argument")
	}
	for _, n := range []int{-1, admin.MaxMembers + 1} {
		_, err := r.CreateMesh(t.Context(), "crowd", n)
		wantCode(t, err, "invalid_argument")
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

package issue_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/issue"
	"github.com/claudemesh/broker/core/store"
)

// rootKey returns a mesh's root key as its invites carry it.
func rootKey(t *testing.T, r *rig, m *store.Mesh) string {
	t.Helper()
	inv, err := r.Invite(t.Context(), m, issue.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	v1, err := identity.ParseToken(inv.Token)
	if err != nil {
		t.Fatal(err)
	}
	return v1.MeshRootKey
}

// TestSecretsAtRest holds that what the store has can neither be read nor used
// without the key.
func TestSecretsAtRest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if damaged, err := r.with(r.store, nil).CheckKey(t.Context()); err != nil || len(damaged) > 0 {
		t.Errorf("a store without secrets: %v, %v", damaged, err)
	}
	m := r.mesh(t, "home")
	root := rootKey(t, r, m)
	row, err := r.store.Mesh(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(row.RootKey, root) || row.RootKey == "" || row.OwnerSecret == "" {
		t.Error("secrets are not sealed")
	}
	for what, keys := range map[string]*identity.AtRest{
		"another key": identity.NewAtRest([identity.AtRestKeySize]byte{2}), "no key": nil,
	} {
		t.Run(what, func(t *testing.T) {
			other := r.with(r.store, keys)
			_, err := other.Invite(t.Context(), m, issue.InviteOptions{})
			wantCode(t, err, "encryption_key")
			_, err = other.SealRootKey(m, newX25519(t).seal)
			wantCode(t, err, "encryption_key")
			_, err = other.CheckKey(t.Context())
			wantCode(t, err, "encryption_key")
		})
	}
	if damaged, err := r.CheckKey(t.Context()); err != nil || len(damaged) > 0 {
		t.Errorf("check of the right key: %v, %v", damaged, err)
	}
}

// TestCheckKeyDamaged holds that a mesh whose row is damaged, also the oldest
// one, is told of and does not condemn the key while another mesh opens.
func TestCheckKeyDamaged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	damage := func(m *store.Mesh, change func(*store.Mesh)) {
		t.Helper()
		_, err := r.store.ChangeMesh(t.Context(), m.ID, func(m *store.Mesh) error { change(m); return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	rootless, ownerless, whole := r.mesh(t, "rootless"), r.mesh(t, "ownerless"), r.mesh(t, "whole")
	damage(rootless, func(m *store.Mesh) { m.RootKey = whole.RootKey })
	damage(ownerless, func(m *store.Mesh) { m.OwnerSecret = "not sealed" })
	damaged, err := r.CheckKey(t.Context())
	slices.SortFunc(damaged, func(a, b issue.Unopened) int { return strings.Compare(b.Slug, a.Slug) }) // meshes of one millisecond come in any order
	if err != nil || len(damaged) != 2 || damaged[0].Slug != "rootless" || damaged[1].Slug != "ownerless" {
		t.Fatalf("got %+v, %v", damaged, err)
	}
	for i, what := range []string{"root key", "owner key"} {
		wantCode(t, damaged[i].Err, "encryption_key")
		if !strings.Contains(damaged[i].Err.Error(), what) {
			t.Errorf("%s: got %v", damaged[i].Slug, damaged[i].Err)
		}
	}
	for _, m := range []*store.Mesh{rootless, ownerless, whole} {
		damage(m, func(m *store.Mesh) { m.RootKey, m.OwnerSecret = "not sealed", "not sealed" })
	}
	_, err = r.CheckKey(t.Context())
	wantCode(t, err, "encryption_key")
}

// TestForeignOwnerKey holds that an owner secret is only used for the key that
// the mesh names.
func TestForeignOwnerKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mesh(t, "odd")
	m.OwnerKey, _ = identity.NewKeypair()
	_, err := r.Invite(t.Context(), m, issue.InviteOptions{})
	wantCode(t, err, "owner_key")
}

// TestMissingSecrets holds what a mesh cannot have that came without them.
func TestMissingSecrets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mesh(t, "home")
	rootless, ownerless := *m, *m
	rootless.RootKey, ownerless.OwnerSecret = "", ""
	for _, m := range []*store.Mesh{&rootless, &ownerless} {
		_, err := r.Invite(t.Context(), m, issue.InviteOptions{})
		wantCode(t, err, "no_key")
	}
	_, err := r.SealRootKey(&rootless, newX25519(t).seal)
	wantCode(t, err, "no_key")
	if _, err := r.SealRootKey(&ownerless, newX25519(t).seal); err != nil {
		t.Error(err)
	}
}

// pair is an x25519 key pair.
type pair struct {
	seal   identity.SealKey
	secret [32]byte
}

func newX25519(t *testing.T) pair {
	t.Helper()
	secret, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pair{identity.SealKey(secret.PublicKey().Bytes()), [32]byte(secret.Bytes())}
}

func TestSealRootKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mesh(t, "home")
	mine, theirs := newX25519(t), newX25519(t)
	text, err := r.SealRootKey(m, mine.seal)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	root, err := identity.OpenAnonymous(mine.secret, sealed)
	if want := rootKey(t, r, m); err != nil || base64.RawURLEncoding.EncodeToString(root) != want || len(root) != 32 {
		t.Errorf("got %x, %v, want %s", root, err, want)
	}
	if _, err := identity.OpenAnonymous(theirs.secret, sealed); !errors.Is(err, identity.ErrSeal) {
		t.Errorf("opened with another's key: %v", err)
	}
	_, err = r.SealRootKey(m, identity.SealKey{1})
	wantCode(t, err, "malformed")
}

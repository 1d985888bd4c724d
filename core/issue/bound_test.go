package issue_test

import (
	"encoding/base64"
	"os"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/issue"
	"github.com/claudemesh/broker/core/store"
)

// files returns all that the store has written.
func (r *rig) files(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, end := range []string{"", "-wal"} {
		text, err := os.ReadFile(r.path + end)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// wantNowhere fails when the store's files hold a token, its root key, or enough
// of the token to tell the key.
func (r *rig) wantNowhere(t *testing.T, token string) {
	t.Helper()
	payload, err := identity.ParseToken(token)
	if err != nil {
		t.Fatal(err)
	}
	root, err := base64.RawURLEncoding.DecodeString(payload.MeshRootKey)
	if err != nil {
		t.Fatal(err)
	}
	files := r.files(t)
	if !strings.Contains(files, payload.MeshID) {
		t.Fatal("the test reads the wrong files")
	}
	for what, secret := range map[string]string{
		"the token": token, "its end": token[len(token)/2:], "its beginning": token[:len(token)/2],
		"the root key": payload.MeshRootKey, "its bytes": string(root),
		"the root key in standard base64": strings.TrimRight(base64.StdEncoding.EncodeToString(root), "="),
	} {
		if strings.Contains(files, secret) {
			t.Errorf("%s is in the store's files", what)
		}
	}
}

// TestStoreHoldsNoToken holds that nobody reads a token or a root key in the
// store, however the file came away.
func TestStoreHoldsNoToken(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mesh(t, "home")
	for range 3 {
		inv, err := r.Invite(t.Context(), m, issue.InviteOptions{Uses: 3})
		if err != nil {
			t.Fatal(err)
		}
		r.wantNowhere(t, inv.Token)
	}
}

// TestSwappedSecrets holds that who can write the store, and has no key, makes
// the broker hand out nothing by moving what is sealed.
func TestSwappedSecrets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	mine, other := r.mesh(t, "mine"), r.mesh(t, "other")
	inv, err := r.Invite(t.Context(), mine, issue.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, swap := range map[string]func(*store.Mesh){
		"the owner's secret as the root key":  func(m *store.Mesh) { m.RootKey = m.OwnerSecret },
		"another mesh's root key":             func(m *store.Mesh) { m.RootKey = other.RootKey },
		"another mesh's owner as the root":    func(m *store.Mesh) { m.RootKey = other.OwnerSecret },
		"an invite as the root key":           func(m *store.Mesh) { m.RootKey = inv.SealedToken },
		"the root key as one that is unbound": func(m *store.Mesh) { m.RootKey = strings.TrimPrefix(m.RootKey, "2.") },
		"all of another mesh": func(m *store.Mesh) {
			m.OwnerKey, m.OwnerSecret, m.RootKey = other.OwnerKey, other.OwnerSecret, other.RootKey
		},
	} {
		t.Run(name, func(t *testing.T) {
			changed := *mine
			swap(&changed)
			made, err := r.Invite(t.Context(), &changed, issue.InviteOptions{})
			wantCode(t, err, "encryption_key")
			sealed, err := r.SealRootKey(&changed, newX25519(t).seal)
			wantCode(t, err, "encryption_key")
			if made != nil || sealed != "" {
				t.Errorf("got %+v, %q", made, sealed)
			}
		})
	}
	swapped := *mine
	swapped.OwnerSecret = other.OwnerSecret
	_, err = r.Invite(t.Context(), &swapped, issue.InviteOptions{})
	wantCode(t, err, "encryption_key")

	second, err := r.Invite(t.Context(), mine, issue.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, sealed := range map[string]string{
		"another invite's": second.SealedToken, "a root key": mine.RootKey, "an owner's secret": mine.OwnerSecret, "nothing": "",
	} {
		row := *inv.Invite
		row.SealedToken = sealed
		token, err := r.Token(&row)
		if wantCode(t, err, "encryption_key"); token != "" {
			t.Errorf("%s as an invite's token gives %q", name, token)
		}
	}
	_, err = r.with(r.store, nil).Token(inv.Invite)
	wantCode(t, err, "encryption_key")
}

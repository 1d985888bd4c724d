package issue_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/issue"
	"github.com/claudemesh/broker/core/store"
)

// sealOld seals as programs of before did, bound to nothing.
func (r *rig) sealOld(t *testing.T, plaintext []byte) string {
	t.Helper()
	key := r.keys.Key()
	block, err := aes.NewCipher(key[:])
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	iv := make([]byte, 12)
	rand.Read(iv)
	sealed := gcm.Seal(nil, iv, plaintext, nil)
	text, tag := sealed[:len(plaintext)], sealed[len(plaintext):]
	return base64.StdEncoding.EncodeToString([]byte(string(iv) + string(tag) + string(text)))
}

// exec changes rows as whoever has the file can.
func (r *rig) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", r.path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%v in %s", err, query)
	}
}

// row reads a mesh again.
func (r *rig) row(t *testing.T, id string) *store.Mesh {
	t.Helper()
	m, err := r.store.Mesh(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// old is a mesh with one invite, as a program of before has written them.
type old struct {
	mesh       *store.Mesh
	seed, root []byte
	token      string
	invite     *store.Invite // as the store gives it
}

// old makes a mesh and turns its rows back.
func (r *rig) old(t *testing.T, name string) *old {
	t.Helper()
	m := r.mesh(t, name)
	inv, err := r.Invite(t.Context(), m, issue.InviteOptions{Uses: 5})
	if err != nil {
		t.Fatal(err)
	}
	o := &old{token: inv.Token}
	if o.seed, err = r.keys.OpenFor(identity.OwnerSecretAtRest, m.ID, m.OwnerSecret); err != nil {
		t.Fatal(err)
	}
	if o.root, err = r.keys.OpenFor(identity.RootKeyAtRest, m.ID, m.RootKey); err != nil {
		t.Fatal(err)
	}
	r.exec(t, `UPDATE mesh SET owner_secret = ?, root_key = ? WHERE id = ?`, r.sealOld(t, o.seed), r.sealOld(t, o.root), m.ID)
	r.exec(t, `UPDATE invite SET token = ?, sealed_token = '' WHERE id = ?`, inv.Token, inv.ID)
	o.mesh = r.row(t, m.ID)
	if o.invite, err = r.store.InviteByToken(t.Context(), inv.Token); err != nil || o.invite.PlainToken != inv.Token {
		t.Fatalf("got %+v, %v", o.invite, err)
	}
	return o
}

func (r *rig) bind(t *testing.T) *issue.Bound {
	t.Helper()
	done, err := r.Bind(t.Context(), r.store)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// TestBind holds that what a program of before wrote opens after the pass at
// start, and its secrets only then; and that it is the same then.
func TestBind(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	o := r.old(t, "home")
	archived := r.old(t, "archived")
	r.exec(t, `UPDATE mesh SET archived_at = 1 WHERE id = ?`, archived.mesh.ID)
	now := r.mesh(t, "new")

	if _, err := r.CheckKey(t.Context()); err != nil {
		t.Errorf("check of the right key: %v", err)
	}
	_, err := r.Invite(t.Context(), o.mesh, issue.InviteOptions{})
	wantCode(t, err, "encryption_key")
	_, err = r.SealRootKey(o.mesh, newX25519(t).seal)
	wantCode(t, err, "encryption_key")
	if token, err := r.Token(o.invite); err != nil || token != o.token {
		t.Errorf("the old invite's token is %q, %v", token, err)
	}

	if diff := cmp.Diff(&issue.Bound{Meshes: 2, Invites: 2}, r.bind(t)); diff != "" {
		t.Errorf("first (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(new(issue.Bound), r.bind(t)); diff != "" {
		t.Errorf("again (-want +got):\n%s", diff)
	}
	for _, o := range []*old{o, archived} {
		m := r.row(t, o.mesh.ID)
		seed, seedErr := r.keys.OpenFor(identity.OwnerSecretAtRest, m.ID, m.OwnerSecret)
		root, rootErr := r.keys.OpenFor(identity.RootKeyAtRest, m.ID, m.RootKey)
		if seedErr != nil || rootErr != nil || string(seed) != string(o.seed) || string(root) != string(o.root) {
			t.Errorf("mesh %s has other secrets now: %v, %v", m.Slug, seedErr, rootErr)
		}
		inv, err := r.store.InviteByToken(t.Context(), o.token)
		if err != nil {
			t.Fatal(err)
		}
		want := *o.invite
		want.PlainToken, want.SealedToken = "", inv.SealedToken
		if diff := cmp.Diff(&want, inv); diff != "" {
			t.Errorf("invite (-want +got):\n%s", diff)
		}
		if token, err := r.Token(inv); err != nil || token != o.token {
			t.Errorf("its token is %q, %v", token, err)
		}
		r.wantNowhere(t, o.token)
	}
	for _, m := range []*store.Mesh{r.row(t, o.mesh.ID), now} {
		if _, err := r.Invite(t.Context(), m, issue.InviteOptions{}); err != nil {
			t.Error(err)
		}
	}
}

// TestBindRefuses holds that the pass does not bind what somebody has put
// together from parts that are bound to nothing.
func TestBindRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	honest := r.old(t, "honest")
	elsewhere := r.mesh(t, "bound")
	root, err := r.keys.OpenFor(identity.RootKeyAtRest, elsewhere.ID, elsewhere.RootKey)
	if err != nil {
		t.Fatal(err)
	}
	set := func(column, value string) func(*old) {
		return func(o *old) { r.exec(t, `UPDATE mesh SET `+column+` = ? WHERE id = ?`, value, o.mesh.ID) }
	}
	other := identity.NewAtRest([identity.AtRestKeySize]byte{2})
	for name, tt := range map[string]struct {
		change func(*old)
		why    string
	}{
		"owner's secret as root":   {func(o *old) { set("root_key", o.mesh.OwnerSecret)(o) }, "secret of an owner"},
		"another owner's as root":  {set("root_key", honest.mesh.OwnerSecret), "secret of an owner"},
		"another mesh's root":      {set("root_key", r.sealOld(t, root)), "another mesh"},
		"another mesh's owner":     {set("owner_secret", honest.mesh.OwnerSecret), "does not belong"},
		"a short root":             {set("root_key", r.sealOld(t, make([]byte, 31))), "is none"},
		"a short owner":            {set("owner_secret", r.sealOld(t, make([]byte, 31))), "does not belong"},
		"what is none":             {set("root_key", "!"), "cannot be opened"},
		"bound owner, unbound key": {func(o *old) { set("owner_secret", r.keys.SealFor(identity.OwnerSecretAtRest, o.mesh.ID, o.seed))(o) }, "bound to it before"},
		"bound key, unbound owner": {func(o *old) { set("root_key", r.keys.SealFor(identity.RootKeyAtRest, o.mesh.ID, o.root))(o) }, "bound to it before"},
		"another key's":            {set("root_key", other.SealFor(identity.RootKeyAtRest, "m", make([]byte, 32))), "bound to it before"},
	} {
		t.Run(name, func(t *testing.T) {
			o := r.old(t, "odd")
			tt.change(o)
			before := r.row(t, o.mesh.ID)
			done := r.bind(t)
			if len(done.Refused) != 1 || done.Refused[0].Mesh != o.mesh.ID || !strings.Contains(done.Refused[0].Why, tt.why) {
				t.Errorf("got %+v, want one refusal: %q", done.Refused, tt.why)
			}
			after := r.row(t, o.mesh.ID)
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("the row was changed:\n%s", diff)
			}
			_, err := r.Invite(t.Context(), after, issue.InviteOptions{})
			wantCode(t, err, "encryption_key")
			r.exec(t, `UPDATE mesh SET owner_secret = '', root_key = '' WHERE id = ?`, o.mesh.ID)
		})
	}
	if _, err := r.Invite(t.Context(), r.row(t, honest.mesh.ID), issue.InviteOptions{}); err != nil {
		t.Errorf("the mesh that nobody has changed: %v", err)
	}
	// Of two meshes with one root key nobody can say whose it is.
	one, two := r.old(t, "one"), r.old(t, "two")
	set("root_key", one.mesh.RootKey)(two)
	if done := r.bind(t); len(done.Refused) != 2 || done.Meshes != 0 {
		t.Errorf("two meshes with one root key: got %+v", done)
	}
	_, err = r.with(r.store, nil).Bind(t.Context(), r.store)
	wantCode(t, err, "encryption_key")
}

// TestBindPart holds what a mesh gets that has only one secret.
func TestBindPart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	rootless, ownerless := r.old(t, "rootless"), r.old(t, "ownerless")
	r.exec(t, `UPDATE mesh SET root_key = '' WHERE id = ?`, rootless.mesh.ID)
	r.exec(t, `UPDATE mesh SET owner_secret = '' WHERE id = ?`, ownerless.mesh.ID)
	if done := r.bind(t); done.Meshes != 2 || len(done.Refused) > 0 {
		t.Errorf("got %+v", done)
	}
	if _, err := r.SealRootKey(r.row(t, ownerless.mesh.ID), newX25519(t).seal); err != nil {
		t.Error(err)
	}
	_, err := r.Invite(t.Context(), r.row(t, rootless.mesh.ID), issue.InviteOptions{})
	wantCode(t, err, "no_key")
}

// TestBindAtOnce holds that several brokers may begin with one store, and that
// it takes more than one batch.
func TestBindAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	o := r.old(t, "home")
	const n = 250
	r.exec(t, `WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1)
		INSERT INTO invite (id, mesh_id, token, max_uses, used_count, role, preset, expires_at, created_at)
		SELECT 'inv' || i, ?, 'token' || i, 1, 0, 'member', '{}', 1, 1 FROM n`, n, o.mesh.ID)
	var wait sync.WaitGroup
	for range 3 {
		wait.Go(func() {
			if _, err := r.Bind(t.Context(), r.store); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	left, err := r.store.PlainInvites(t.Context(), "", 10)
	if err != nil || len(left) > 0 {
		t.Errorf("%d invites are left, %v", len(left), err)
	}
	for i := range n {
		token := fmt.Sprint("token", i)
		inv, err := r.store.InviteByToken(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.Token(inv); err != nil || got != token {
			t.Errorf("got %q, %v, want %q", got, err, token)
		}
	}
	m := r.row(t, o.mesh.ID)
	seed, err := r.keys.OpenFor(identity.OwnerSecretAtRest, m.ID, m.OwnerSecret)
	if err != nil || identity.PublicKey(ed25519.NewKeyFromSeed(seed)) != m.OwnerKey {
		t.Error(err)
	}
}

// TestUnboundAccepted holds what works while brokers of before share the store.
func TestUnboundAccepted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	o := r.old(t, "home")
	r.keys.AcceptUnbound(true)
	inv, err := r.Invite(t.Context(), o.mesh, issue.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if payload, err := identity.ParseToken(inv.Token); err != nil || payload.MeshRootKey != base64.RawURLEncoding.EncodeToString(o.root) {
		t.Errorf("got %+v, %v", payload, err)
	}
	r.bind(t)
	r.keys.AcceptUnbound(false)
	if _, err := r.Invite(t.Context(), r.row(t, o.mesh.ID), issue.InviteOptions{}); err != nil {
		t.Error(err)
	}
}

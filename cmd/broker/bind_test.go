package main

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"database/sql"
	"encoding/base64"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/backend"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/issue"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/pgtest"
	"github.com/claudemesh/broker/core/store/postgres"
)

// sealedOld is what programs of before made of a secret, bound to nothing.
func sealedOld(t *testing.T, keys *identity.AtRest, secret []byte) string {
	t.Helper()
	key := keys.Key()
	block, err := aes.NewCipher(key[:])
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	iv := []byte("twelve bytes")
	sealed := gcm.Seal(nil, iv, secret, nil)
	text, tag := sealed[:len(secret)], sealed[len(secret):]
	return base64.StdEncoding.EncodeToString([]byte(string(iv) + string(tag) + string(text)))
}

// makeOld opens a mesh's secrets and turns them to what programs of before wrote.
func makeOld(t *testing.T, keys *identity.AtRest, m *store.Mesh) (owner, root string) {
	t.Helper()
	seed, err := keys.OpenFor(identity.OwnerSecretAtRest, m.ID, m.OwnerSecret)
	if err != nil {
		t.Fatal(err)
	}
	key, err := keys.OpenFor(identity.RootKeyAtRest, m.ID, m.RootKey)
	if err != nil {
		t.Fatal(err)
	}
	return sealedOld(t, keys, seed), sealedOld(t, keys, key)
}

// age turns the rows of a mesh that was just made to those of a program of
// before, in a store that nobody serves.
func (x *terminal) age(m *admin.NewMesh) {
	x.t.Helper()
	keys, err := keyFile(x.data, false)
	if err != nil {
		x.t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(x.data, backend.StoreName))
	if err != nil {
		x.t.Fatal(err)
	}
	defer db.Close()
	row := &store.Mesh{ID: m.ID}
	err = db.QueryRowContext(x.t.Context(), `SELECT owner_secret, root_key FROM mesh WHERE id = ?`, m.ID).Scan(&row.OwnerSecret, &row.RootKey)
	if err != nil {
		x.t.Fatal(err)
	}
	owner, root := makeOld(x.t, keys, row)
	for _, q := range []struct {
		text string
		args []any
	}{
		{`UPDATE mesh SET owner_secret = ?, root_key = ? WHERE id = ?`, []any{owner, root, m.ID}},
		{`UPDATE invite SET token = ?, sealed_token = '' WHERE mesh_id = ? AND max_uses = 100`, []any{m.Invite, m.ID}},
	} {
		if _, err := db.ExecContext(x.t.Context(), q.text, q.args...); err != nil {
			x.t.Fatal(err)
		}
	}
}

// inFile reports whether the store's file holds a text.
func (x *terminal) inFile(text string) bool {
	x.t.Helper()
	file, err := os.ReadFile(filepath.Join(x.data, backend.StoreName))
	if err != nil {
		x.t.Fatal(err)
	}
	return bytes.Contains(file, []byte(text))
}

// TestOldStore holds that a store of a program of before is brought up to date
// by a broker that starts, and by a command that signs without one; and that
// what was handed out before goes on.
func TestOldStore(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	home := x.newMesh("home", "1")
	x.age(home)
	if !x.inFile(home.Invite) {
		t.Fatal("the store is not an old one")
	}
	x.ok(x.on("mesh", "list")...) // signs nothing
	if !x.inFile(home.Invite) {
		t.Error("a command that only reads has changed the store")
	}
	x.ok(x.on("invite", "create", "home")...)
	if x.inFile(home.Invite) {
		t.Error("a command left the token in clear")
	}
	x.age(home)
	broker, url := x.serve()
	broker.err.wait(broker, "tokens of invites were sealed")
	if x.inFile(home.Invite) {
		t.Error("the broker left the token in clear")
	}
	bo := x.start("peer", "listen", "--name", "bo", "--invite", home.Invite, "--url", url)
	bo.err.wait(bo, "listening as bo")
	fresh := parse[admin.Invite](t, x.ok(x.on("invite", "create", "home", "--json")...))
	x.ok("peer", "send", "--name", "ada", "--invite", fresh.Token, "bo", "hello")
	bo.out.wait(bo, "ada: hello")
	bo.end()
	broker.end()
	again, _ := x.serve()
	if strings.Contains(again.err.String(), "were sealed") {
		t.Error("the second start seals again")
	}
}

// TestOldStoreTampered holds that a start binds nothing that does not belong
// where it is, says so, and serves all the same.
func TestOldStoreTampered(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	x.newMesh("home", "1")
	odd := x.newMesh("odd", "1")
	x.age(odd)
	db, err := sql.Open("sqlite", filepath.Join(x.data, backend.StoreName))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `UPDATE mesh SET root_key = owner_secret WHERE id = ?`, odd.ID); err != nil {
		t.Fatal(err)
	}
	broker, _ := x.serve()
	broker.err.wait(broker, "secret of an owner")
	x.fails(exitFailed, "not bound to the mesh", x.on("invite", "create", "odd")...)
	x.ok(x.on("invite", "create", "home")...)
}

// TestDamagedMesh holds that a broker starts on a store with a mesh whose row is
// damaged, names it, and serves the others.
func TestDamagedMesh(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	odd := x.newMesh("odd", "1") // the oldest
	x.newMesh("home", "1")
	db, err := sql.Open("sqlite", filepath.Join(x.data, backend.StoreName))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `UPDATE mesh SET root_key = substr(root_key, 1, 40) WHERE id = ?`, odd.ID); err != nil {
		t.Fatal(err)
	}
	x.ok(x.on("invite", "create", "home")...)
	broker, _ := x.serve()
	said := broker.err.wait(broker, "cannot be opened")
	if !strings.Contains(said, `"mesh":"odd"`) || strings.Contains(said, `"mesh":"home"`) {
		t.Errorf("serve says\n%s", said)
	}
	x.fails(exitFailed, "encryption_key", x.on("invite", "create", "odd")...)
	x.ok(x.on("invite", "create", "home")...)
	x.ok(x.on("session", "create", "ada")...)
}

// TestOldStoreWhileOthersRun holds that what brokers of another release can read
// stays so while one of them runs, and is brought up to date afterwards.
func TestOldStoreWhileOthersRun(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	st, err := postgres.Open(ctx, postgres.Options{URL: pgtest.URL(t), Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	keys := identity.NewAtRest([identity.AtRestKeySize]byte{1})
	issuer := issue.New(st, keys, func() string { return "wss://broker.example/ws" })
	mesh, _, err := issuer.Mesh(ctx, issue.NewMesh{Name: "home"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = st.ChangeMesh(ctx, mesh.ID, func(m *store.Mesh) error {
		m.OwnerSecret, m.RootKey = makeOld(t, keys, m)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	read := func() *store.Mesh {
		t.Helper()
		m, err := st.Mesh(ctx, mesh.ID)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	old, same := &store.Node{ID: "old", Host: "h", Version: "v0.0.1", StartedAt: time.Now()}, &store.Node{ID: "same", Host: "h", Version: programVersion(), StartedAt: time.Now()}
	for _, n := range []*store.Node{old, same} {
		if err := st.RegisterNode(ctx, n, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	var log logged
	stop, err := bindSecrets(ctx, st, keys, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if m := read(); identity.IsBound(m.RootKey) || identity.IsBound(m.OwnerSecret) {
		t.Error("the secrets were bound, which the other broker cannot read")
	}
	if _, err := issuer.Invite(ctx, read(), issue.InviteOptions{}); err != nil {
		t.Errorf("meanwhile: %v", err)
	}
	if err := st.RemoveNode(ctx, old.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the secrets are bound", func() bool { return strings.Contains(log.text(), "was bound to its rows") })
	if m := read(); !identity.IsBound(m.RootKey) || !identity.IsBound(m.OwnerSecret) {
		t.Error("the secrets were not bound")
	}
	if _, err := issuer.Invite(ctx, read(), issue.InviteOptions{}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	stop()
	if _, err := keys.OpenFor(identity.RootKeyAtRest, mesh.ID, sealedOld(t, keys, make([]byte, 32))); err == nil {
		t.Error("what is bound to nothing is still accepted")
	}

	// One that ends before it is its turn leaves all as it is.
	if err := st.RegisterNode(ctx, old, time.Hour); err != nil {
		t.Fatal(err)
	}
	ending, cancel := context.WithCancel(ctx)
	if stop, err = bindSecrets(ending, st, keys, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	cancel()
	stop()
}

// logged is what a logger wrote.
type logged struct {
	mu  sync.Mutex
	all strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *logged) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

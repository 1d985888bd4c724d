package main

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/backend"
)

const productionKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

func TestGeneratedKey(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	x.newMesh("home", "0")
	file := filepath.Join(x.data, "encryption.key")
	key, err := os.ReadFile(file)
	if err != nil || len(strings.TrimSpace(string(key))) != 64 {
		t.Fatalf("key %q, %v", key, err)
	}
	for path, mode := range map[string]os.FileMode{file: 0o600, x.data: 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	x.ok(x.on("invite", "create", "home")...)

	// Another key is refused before it seals anything, a lost one is not replaced.
	x.environ = []string{"BROKER_ENCRYPTION_KEY=" + productionKey}
	x.fails(exitFailed, "encryption_key", x.on("serve", "--listen", "127.0.0.1:0")...)
	x.environ = nil
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	x.fails(exitFailed, "encryption.key is missing", x.on("serve", "--listen", "127.0.0.1:0")...)
	x.fails(exitFailed, "encryption.key is missing", x.on("invite", "create", "home")...)
	x.ok(x.on("mesh", "list")...)
	if _, err := os.Stat(file); err == nil {
		t.Error("a new key was made")
	}
	if err := os.WriteFile(file, key, 0o600); err != nil {
		t.Fatal(err)
	}
	x.ok(x.on("invite", "create", "home")...)
}

func TestProduction(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	x.environ = []string{"NODE_ENV=production"}
	x.fails(exitFailed, "encryption_key", x.on("serve", "--listen", "127.0.0.1:0")...)
	x.fails(exitFailed, "encryption_key", x.on("config", "check")...)
	x.fails(exitFailed, "encryption_key", x.on("mesh", "create", "home")...)

	operator := *x // the broker gets the key, the operator's shell does not have it
	x.environ = append(x.environ, "BROKER_ENCRYPTION_KEY="+productionKey)
	broker, _ := x.serve()
	text := broker.err.String()
	if strings.Contains(text, "INVITE=") || strings.Contains(text, productionKey) || !strings.Contains(text, "broker mesh create") {
		t.Errorf("serve says\n%s", text)
	}
	if _, err := os.Stat(filepath.Join(x.data, "encryption.key")); err == nil {
		t.Error("a key was made in production")
	}
	operator.newMesh("home", "1")
	operator.ok(operator.on("member", "revoke", "home", "member-1")...)
	broker.end()
	operator.ok(operator.on("member", "list", "home")...)
	operator.fails(exitFailed, "BROKER_ENCRYPTION_KEY", operator.on("invite", "create", "home")...)
	x.ok(x.on("invite", "create", "home")...)
}

// TestBrokenAudit edits a row behind the broker's back.
func TestBrokenAudit(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	x.newMesh("home", "2")
	x.ok(x.on("member", "revoke", "home", "member-2")...)
	if out := x.ok(x.on("audit", "verify", "home")...); !strings.Contains(out, "1 entries, chain intact") {
		t.Errorf("got %s", out)
	}
	db, err := sql.Open("sqlite", filepath.Join(x.data, backend.StoreName))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `UPDATE audit_log SET payload = '{"by":"nobody"}'`); err != nil {
		t.Fatal(err)
	}
	r := x.try(x.on("audit", "verify", "home")...)
	if r.code != exitFailed || !strings.Contains(r.out, "BROKEN at entry 1") || r.err != "" {
		t.Errorf("exit %d\n%s%s", r.code, r.out, r.err)
	}
	r = x.try(x.on("audit", "verify", "home", "--json")...)
	if v := parse[admin.Verification](t, r.out); r.code != exitFailed || v.Valid || v.BrokenAt != 1 {
		t.Errorf("exit %d, %+v", r.code, v)
	}
}

func TestMigrations(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	up := *parse[[]admin.Migration](t, x.ok(x.on("migrate", "up", "--json")...))
	if len(up) == 0 || up[0].Version != 1 || up[0].AppliedAt.IsZero() || len(up[0].SHA256) != 64 {
		t.Errorf("got %+v", up)
	}
	if out := x.ok(x.on("migrate", "status")...); !strings.Contains(out, up[0].Name) {
		t.Errorf("status:\n%s", out)
	}
}

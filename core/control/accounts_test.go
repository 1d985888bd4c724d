package control_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/control"
)

// TestSameAccounts asks the same of a broker's socket and of its store.
func TestSameAccounts(t *testing.T) {
	dir := t.TempDir()
	local, closeStore := openStore(t, dir, nil)
	defer closeStore()
	serve(t, dir, local)
	remote, err := control.Open(t.Context(), dir, noStore(t))
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()

	m, err := remote.CreateMesh(t.Context(), "home", admin.MeshOptions{Members: 1, Owner: "cy"})
	if err != nil || m.Account != "cy" {
		t.Fatalf("mesh: %+v, %v", m, err)
	}
	n, err := remote.CreateToken(t.Context(), "ada", admin.TokenOptions{Email: "a@b.c", Name: "Ada", TTL: time.Hour})
	if err != nil || !n.Created || n.Account.Email != "a@b.c" || n.Account.Name != "Ada" || time.Until(n.ExpiresAt) > time.Hour {
		t.Fatalf("create: %+v, %v", n, err)
	}
	other, err := remote.CreateToken(t.Context(), "ada", admin.TokenOptions{})
	if err != nil || other.Created {
		t.Fatalf("create again: %+v, %v", other, err)
	}
	if err := remote.RevokeToken(t.Context(), other.ID); err != nil {
		t.Errorf("revoke: %v", err)
	}
	l, err := remote.LinkMember(t.Context(), "home", "member-1", "cy", false)
	if err != nil || l.Account != "cy" || l.Before != "" {
		t.Errorf("link: %+v, %v", l, err)
	}
	if l, err = remote.LinkMember(t.Context(), "home", "member-1", "ada", true); err != nil || l.Account != "ada" || l.Before != "cy" {
		t.Errorf("move: %+v, %v", l, err)
	}
	if a, err := remote.SetAccountEnabled(t.Context(), "cy", false); err != nil || a.DisabledAt.IsZero() {
		t.Errorf("disable: %+v, %v", a, err)
	}
	for name, ask := range map[string]func(admin.Ops) (any, error){
		"link":          func(o admin.Ops) (any, error) { return o.LinkMember(t.Context(), "home", "member-1", "ada", false) },
		"disable":       func(o admin.Ops) (any, error) { return o.SetAccountEnabled(t.Context(), "cy", false) },
		"accounts":      func(o admin.Ops) (any, error) { return o.ListAccounts(t.Context()) },
		"tokens":        func(o admin.Ops) (any, error) { return o.ListTokens(t.Context(), "") },
		"one's tokens":  func(o admin.Ops) (any, error) { return o.ListTokens(t.Context(), "ada") },
		"enable":        func(o admin.Ops) (any, error) { return o.SetAccountEnabled(t.Context(), "ada", true) },
		"bar":           func(o admin.Ops) (any, error) { return o.SetAccountLegacy(t.Context(), "ada", false) },
		"the same mesh": func(o admin.Ops) (any, error) { return o.SetMeshOwner(t.Context(), "home", "ada") },
	} {
		if name == "the same mesh" { // the first answer has no owner before
			if _, err := ask(local); err != nil {
				t.Fatal(err)
			}
		}
		want, err := ask(local)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got, err := ask(remote)
		if err != nil {
			t.Errorf("%s through the socket: %v", name, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: -store +socket:\n%s", name, diff)
		}
	}
	for name, ask := range map[string]func(admin.Ops) error{
		"a bad id":     func(o admin.Ops) error { _, err := o.CreateToken(t.Context(), "a b", admin.TokenOptions{}); return err },
		"an old token": func(o admin.Ops) error { return o.RevokeToken(t.Context(), other.ID) },
		"no account":   func(o admin.Ops) error { _, err := o.SetAccountEnabled(t.Context(), "bo", false); return err },
		"no sign-in":   func(o admin.Ops) error { _, err := o.ApproveSignIn(t.Context(), "AAAA-BBBB", ""); return err },
		"another's": func(o admin.Ops) error {
			_, err := o.LinkMember(t.Context(), "home", "member-1", "cy", false)
			return err
		},
		"nobody's mesh": func(o admin.Ops) error { _, err := o.SetMeshOwner(t.Context(), "home", "bo"); return err },
	} {
		wantCode, wantLine := admin.Explain(ask(local))
		if code, line := admin.Explain(ask(remote)); code != wantCode || line != wantLine || code == "internal" {
			t.Errorf("%s: the socket says %q %q, the store %q %q", name, code, line, wantCode, wantLine)
		}
	}
}

// TestLoggedOperations holds that the log calls what was done by its name.
func TestLoggedOperations(t *testing.T) {
	dir := t.TempDir()
	local, closeStore := openStore(t, dir, nil)
	defer closeStore()
	var log bytes.Buffer
	server, err := control.Serve(t.Context(), dir, local, control.About{}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	remote, err := control.Open(t.Context(), dir, noStore(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, enabled := range []bool{false, true} {
		if _, err := remote.SetAccountEnabled(t.Context(), "nobody", enabled); err == nil {
			t.Error("an account that is not there was changed")
		}
	}
	remote.Close()
	stop(t, server) // it writes no more
	for _, op := range []string{"op=account.disable ", "op=account.enable "} {
		if strings.Count(log.String(), op) != 1 {
			t.Errorf("want %s once:\n%s", op, log.String())
		}
	}
}

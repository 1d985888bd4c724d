package control_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/control"
)

// TestSameAnswers asks the same of a broker's socket and of its store.
func TestSameAnswers(t *testing.T) {
	dir := t.TempDir()
	local, closeStore := openStore(t, dir, nil)
	defer closeStore()
	serve(t, dir, local)
	remote, err := control.Open(t.Context(), dir, noStore(t))
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()
	if remote.Running == nil || remote.Running.URL != "ws://here/ws" {
		t.Errorf("about: %+v", remote.Running)
	}

	m, err := remote.CreateMesh(t.Context(), "home", admin.MeshOptions{Members: 3})
	if err != nil || len(m.Members) != 3 || m.Members[0].SecretKey == "" {
		t.Fatalf("create: %+v, %v", m, err)
	}
	inv, err := remote.CreateInvite(t.Context(), "home", admin.InviteOptions{Role: "admin", Uses: 7, TTL: time.Hour})
	if err != nil || inv.Role != "admin" || inv.Uses != 7 || time.Until(inv.ExpiresAt) > time.Hour {
		t.Errorf("invite: %+v, %v", inv, err)
	}
	if r, err := remote.RevokeMember(t.Context(), "home", "member-2"); err != nil || r.Already {
		t.Errorf("revoke: %+v, %v", r, err)
	}
	for name, ask := range map[string]func(admin.Ops) (any, error){
		"meshes":  func(o admin.Ops) (any, error) { return o.ListMeshes(t.Context()) },
		"members": func(o admin.Ops) (any, error) { return o.ListMembers(t.Context(), m.ID) },
		"again":   func(o admin.Ops) (any, error) { return o.RevokeMember(t.Context(), "home", "member-2") },
		"audit":   func(o admin.Ops) (any, error) { return o.VerifyAudit(t.Context(), "home") },
		"migrations": func(o admin.Ops) (any, error) {
			return o.Migrations(t.Context())
		},
		"chain":   func(o admin.Ops) (any, error) { return o.Chain(t.Context()) },
		"dry run": func(o admin.Ops) (any, error) { return o.Reload(t.Context(), admin.ReloadOptions{DryRun: true}) },
		"plugins": func(o admin.Ops) (any, error) { return o.ListPlugins(t.Context()) },
		"resume":  func(o admin.Ops) (any, error) { return nil, o.ResumePlugin(t.Context(), "hours") },
		"wait":    func(o admin.Ops) (any, error) { return o.Reload(t.Context(), admin.ReloadOptions{Wait: true}) },
	} {
		want, err := ask(local)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got, err := ask(remote)
		if err != nil {
			t.Errorf("%s through the socket: %v", name, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(chain.Timing{}, "Bounds"), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: -store +socket:\n%s", name, diff)
		}
	}
	for name, ask := range map[string]func(admin.Ops) error{
		"unknown mesh":   func(o admin.Ops) error { _, err := o.ListMembers(t.Context(), "nowhere"); return err },
		"unknown member": func(o admin.Ops) error { _, err := o.RevokeMember(t.Context(), "home", "x"); return err },
		"no name":        func(o admin.Ops) error { _, err := o.CreateMesh(t.Context(), " ", admin.MeshOptions{}); return err },
		"no plugin":      func(o admin.Ops) error { return o.ResumePlugin(t.Context(), "auth") },
		"not supported":  func(o admin.Ops) error { _, err := o.Migrate(t.Context()); return err },
	} {
		wantCode, wantLine := admin.Explain(ask(local))
		if code, line := admin.Explain(ask(remote)); code != wantCode || line != wantLine {
			t.Errorf("%s: the socket says %q %q, the store %q %q", name, code, line, wantCode, wantLine)
		}
	}
}

func TestSocketIsPrivate(t *testing.T) {
	dir := t.TempDir()
	local, closeStore := openStore(t, dir, nil)
	defer closeStore()
	s := serve(t, dir, local)
	info, err := os.Stat(filepath.Join(dir, "broker.sock"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 || s.Path() != filepath.Join(dir, "broker.sock") {
		t.Errorf("%s has mode %v", s.Path(), info.Mode())
	}
	stop(t, s)
	left, err := filepath.Glob(filepath.Join(dir, "*sock*"))
	hidden, _ := filepath.Glob(filepath.Join(dir, ".c*"))
	if err != nil || len(left)+len(hidden) > 0 {
		t.Errorf("left behind: %v %v", left, hidden)
	}
	if _, err := control.Dial(t.Context(), dir); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("dial after the end: %v", err)
	}
}

// TestStaleSocket holds that a socket whose process has died is replaced, and
// one that answers is not.
func TestStaleSocket(t *testing.T) {
	dir := t.TempDir()
	stale(t, filepath.Join(dir, "broker.sock"))
	if _, err := control.Dial(t.Context(), dir); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("dial of a stale socket: %v", err)
	}
	local, closeStore := openStore(t, dir, nil)
	defer closeStore()
	serve(t, dir, local)
	_, err := control.Serve(t.Context(), dir, local, control.About{}, nil)
	if !errors.Is(err, control.ErrRunning) {
		t.Errorf("second server: %v", err)
	}
	c, err := control.Dial(t.Context(), dir)
	if err != nil {
		t.Fatalf("the first server was disturbed: %v", err)
	}
	c.Close()
}

// TestLongDirectory holds that a path too long for a socket is no obstacle.
func TestLongDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	local, closeStore := openStore(t, dir, nil)
	defer closeStore()

	// What a dead process left, pointing at a socket that nobody answers.
	gone := t.TempDir()
	stale(t, filepath.Join(gone, "broker.sock"))
	if err := os.WriteFile(filepath.Join(dir, "broker.sock.path"), []byte(filepath.Join(gone, "broker.sock")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, dir, local)
	if len(s.Path()) > 103 || strings.HasPrefix(s.Path(), dir) {
		t.Errorf("socket at %s", s.Path())
	}
	if _, err := os.Stat(gone); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the dead process's socket was not removed: %v", err)
	}
	c, err := control.Dial(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	private := filepath.Dir(s.Path())
	if info, err := os.Stat(private); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory of the socket: %v, %v", info, err)
	}
	stop(t, s)
	if _, err := os.Stat(private); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s was not removed: %v", private, err)
	}
}

func TestNowhereForASocket(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
	_, err := control.Serve(t.Context(), dir, nil, control.About{}, nil)
	if err == nil || !strings.Contains(err.Error(), "TMPDIR") {
		t.Errorf("got %v", err)
	}
}

func TestRequestsThatAreWrong(t *testing.T) {
	dir := t.TempDir()
	local, closeStore := openStore(t, dir, nil)
	defer closeStore()
	serve(t, dir, local)
	for _, tt := range []struct {
		name, path, body string
		status           int
		code             string
	}{
		{"an operation of another version", "/v9/mesh.list", "{}", 404, "unknown_operation"},
		{"an operation that there is not", "/v1/mesh.destroy", "{}", 404, "unknown_operation"},
		{"a body that is no JSON", "/v1/mesh.create", "{", 422, "malformed"},
		{"a body of a megabyte", "/v1/mesh.create", `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, 422, "malformed"},
		{"a wrong type", "/v1/mesh.create", `{"members":"three"}`, 422, "malformed"},
	} {
		status, body := post(t, filepath.Join(dir, "broker.sock"), tt.path, tt.body)
		if status != tt.status || !strings.Contains(body, `"code":"`+tt.code+`"`) || !strings.Contains(body, `"message":"`) {
			t.Errorf("%s: got %d %s", tt.name, status, body)
		}
	}
}

// TestCancelledCommand holds that an operation ends with the command that asked
// for it.
func TestCancelledCommand(t *testing.T) {
	dir := t.TempDir()
	began, ended := make(chan struct{}), make(chan error, 1)
	local, closeStore := openStore(t, dir, func(h *admin.Hooks) {
		h.Reload = func(ctx context.Context, _ admin.ReloadOptions) (*admin.Reload, error) {
			close(began)
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		}
	})
	defer closeStore()
	serve(t, dir, local)
	c, err := control.Dial(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-began; cancel() }()
	if _, err := c.Reload(ctx, admin.ReloadOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("operation ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the operation goes on")
	}
}

func TestFailureIsExplained(t *testing.T) {
	dir := t.TempDir()
	local, closeStore := openStore(t, dir, func(h *admin.Hooks) {
		h.Reload = func(context.Context, admin.ReloadOptions) (*admin.Reload, error) {
			return nil, errors.New("pipeline[2]: no such stage")
		}
	})
	defer closeStore()
	serve(t, dir, local)
	c, err := control.Dial(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Reload(t.Context(), admin.ReloadOptions{})
	var e *core.Error
	if !errors.As(err, &e) || e.Code != "internal" || e.Message != "pipeline[2]: no such stage" {
		t.Errorf("got %v", err)
	}
}

// post asks as curl would.
func post(t *testing.T, socket, path, body string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: unixTransport(socket)}
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://broker"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode, readAll(t, resp.Body)
}

package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/backend"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/control"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/core/store/freshtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// password is what no finding may show.
const password = "hunter2hunter2"

var key = identity.NewAtRest([identity.AtRestKeySize]byte{7})

// rig is a broker's surroundings in which all is well, until a test breaks
// something.
type rig struct {
	t *testing.T
	Subject

	pid  int         // of the broker that runs; ours by default
	hook admin.Hooks // what that broker says
	told control.About
}

// newRig makes surroundings with a store that a broker has used.
func newRig(t *testing.T, url string) *rig {
	t.Helper()
	c := config.Default()
	c.DataDir = filepath.Join(t.TempDir(), "data")
	c.Listen = freeAddress(t)
	c.Store.URL = config.Secret(url)
	if err := os.Mkdir(c.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	host, err := pluginhost.New(pluginhost.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	m := ThisMachine(func(string) (string, bool) { return "", false })
	m.Disk = func(string) (Disk, error) { return Disk{Type: "", Free: 40 << 30}, nil }
	m.OpenFiles = func() (uint64, error) { return 1 << 20, nil }
	r := &rig{t: t, pid: os.Getpid(), Subject: Subject{
		Config: c, Version: "1.2.3", Plugins: host, Machine: m,
		Keys: func() (*identity.AtRest, error) { return key, nil },
	}}
	if url == "" {
		freshtest.File(t, filepath.Join(c.DataDir, backend.StoreName))
	}
	r.hook.Plugins = func() []pluginhost.Status { return nil }
	r.use()
	return r
}

// use makes a mesh in the store, as a broker does.
func (r *rig) use() {
	r.t.Helper()
	st, err := backend.OpenStore(r.t.Context(), r.Config, slog.New(slog.DiscardHandler))
	if err != nil {
		r.t.Fatal(err)
	}
	defer st.Close()
	ops := admin.New(st, key, admin.Hooks{URL: func() string { return "ws://127.0.0.1/ws" }})
	if _, err := ops.CreateMesh(r.t.Context(), "home", admin.MeshOptions{Members: 1}); err != nil {
		r.t.Fatal(err)
	}
}

// run has a broker answer on the data directory until the test ends.
func (r *rig) run() {
	r.t.Helper()
	s, err := control.Serve(r.t.Context(), r.Config.DataDir, admin.New(nil, nil, r.hook), control.About{
		Version: "1.2.3", PID: r.pid, StartedAt: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), URL: r.told.URL, Console: r.told.Console,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			r.t.Error(err)
		}
	})
}

// examine returns what is found.
func (r *rig) examine() []Finding {
	r.t.Helper()
	var list []Finding
	Examine(r.t.Context(), r.Subject, func(f Finding) { list = append(list, f) })
	for _, f := range list {
		if (f.Fix == "") != (f.State == OK) || f.Found == "" || f.Check == "" {
			r.t.Errorf("a finding without a fix, or with one too many: %+v", f)
		}
		if text := fmt.Sprint(f); strings.Contains(text, password) || strings.Contains(text, strings.Repeat("07", 8)) {
			r.t.Errorf("a secret is shown: %s", text)
		}
	}
	return list
}

// wants examines, and wants this finding, and that nothing else is wrong.
func (r *rig) wants(want Finding, others ...string) {
	r.t.Helper()
	list := r.examine()
	found := false
	for _, f := range list {
		switch {
		case f.Check == want.Check && f.State == want.State && strings.Contains(f.Found, want.Found) && strings.Contains(f.Fix, want.Fix):
			found = true
		case f.State != OK && f.Check != want.Check && !strings.Contains(" "+strings.Join(others, " ")+" ", " "+f.Check+" "):
			r.t.Errorf("this is not wrong: %+v", f)
		}
	}
	if !found {
		r.t.Errorf("want %+v, got\n%s", want, show(list))
	}
}

func show(list []Finding) string {
	var b strings.Builder
	for _, f := range list {
		fmt.Fprintf(&b, "%-4s %s: %s\n", f.State, f.Check, f.Found)
		if f.Fix != "" {
			fmt.Fprintf(&b, "     fix: %s\n", f.Fix)
		}
	}
	return b.String()
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l := listen(t)
	defer l.Close()
	return l.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// files are a root that has only these.
func files(text map[string]string) fs.FS {
	root := fstest.MapFS{}
	for name, content := range text {
		root[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return root
}

func postgresRig(t *testing.T) *rig {
	t.Helper()
	return newRig(t, freshtest.URL(t))
}

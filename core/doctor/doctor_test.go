package doctor

import (
	"crypto/sha256"
	"flag"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/backend"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/pluginhost"
)

var update = flag.Bool("update", false, "rewrite testdata")

// TestHealthy holds what is said where nothing is wrong.
func TestHealthy(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(*testing.T) *rig{
		"sqlite":   func(t *testing.T) *rig { return newRig(t, "") },
		"postgres": postgresRig,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := make(t)
			r.Machine.Root = files(nil)
			text := show(r.examine())
			for _, each := range []struct{ volatile, instead string }{
				{regexp.QuoteMeta(r.Config.DataDir), "DIR"}, {regexp.QuoteMeta(r.Config.Listen), "LISTEN"},
				{`SQLite [0-9.]+`, "SQLite VERSION"}, {`PostgreSQL [0-9][^ ]*( \([^)]*\))? at [^,]*, as \w+`, "PostgreSQL VERSION at PLACE, as ROLE"},
				{`[0-9.]+ KiB`, "SIZE"}, {`back in [0-9.µm]+s`, "back in TIME"}, {`(?m)^(ok   permissions: )\w+`, "${1}ROLE"},
				{`of \d+ that PostgreSQL takes`, "of N that PostgreSQL takes"}, {`\d+ applied, the newest \w+.sql`, "N applied, the newest FILE"},
			} {
				text = regexp.MustCompile(each.volatile).ReplaceAllString(text, each.instead)
			}
			golden := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), text); diff != "" {
				t.Errorf("go test ./core/doctor -update renews %s\n-file +now:\n%s", golden, diff)
			}
		})
	}
}

// TestDataDir breaks the data directory and its disk.
func TestDataDir(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do   func(r *rig)
		want Finding
		more string // other checks that fail with it
	}{
		"open to others":           {func(r *rig) { r.chmod(".", 0o755) }, Finding{CheckDataDir, Warn, "mode 0755", "chmod 700"}, ""},
		"a key that others read":   {func(r *rig) { r.write("encryption.key", 0o644) }, Finding{CheckDataDir, Warn, "is open to other users", "chmod 600"}, ""},
		"a token that others read": {func(r *rig) { r.write("console-token", 0o644) }, Finding{CheckDataDir, Warn, "console-token is open to other users", "chmod 600"}, ""},
		"a file":                   {func(r *rig) { r.Config.DataDir += "/broker.db" }, Finding{CheckDataDir, Fail, "is a file", "to a directory"}, "broker store"},
		"not to be written": {
			func(r *rig) { r.Machine.MayWrite = func(string) error { return fs.ErrPermission } },
			Finding{CheckDataDir, Fail, "cannot be written: permission denied", "chown"}, "",
		},
		"not to be made": {
			func(r *rig) {
				r.Config.DataDir = "/proc/self/broker"
				r.Machine.MayWrite = func(dir string) error {
					if dir != "/proc/self" {
						t.Errorf("asked for %s", dir)
					}
					return fs.ErrPermission
				}
			}, Finding{CheckDataDir, Fail, "cannot be made in /proc/self", "make /proc/self/broker"}, "",
		},
		"read-only": {
			func(r *rig) {
				r.Machine.Disk = func(string) (Disk, error) { return Disk{Free: 1 << 40, ReadOnly: true}, nil }
			},
			Finding{CheckDisk, Fail, "read-only", "data_dir"}, "",
		},
		"full":        {func(r *rig) { r.disk("", 1<<20) }, Finding{CheckDisk, Fail, "1.0 MiB free: commits fail", "make room"}, ""},
		"nearly full": {func(r *rig) { r.disk("", 900<<20) }, Finding{CheckDisk, Warn, "900.0 MiB free", "make room"}, ""},
		"in memory":   {func(r *rig) { r.disk("tmpfs", 2<<30) }, Finding{CheckDisk, Warn, "does not survive a power cut", "store.durability"}, ""},
		"in memory, as it is meant": {
			func(r *rig) { r.disk("tmpfs", 2<<30); r.Config.Store.Durability = config.SurvivesProcess },
			Finding{CheckDisk, OK, "on tmpfs", ""}, "",
		},
		"in a container's layer": {func(r *rig) { r.disk("overlay", 2<<30) }, Finding{CheckDisk, Warn, "does not survive the container", "volume"}, ""},
		"on a network":           {func(r *rig) { r.disk("nfs", 2<<30) }, Finding{CheckDisk, Fail, "nfs", "local disk"}, ""},
		"another user's file": {
			func(r *rig) {
				r.Machine.Owner = func(info fs.FileInfo) (int, bool) { return len(filepath.Ext(info.Name())) / 4, true }
				r.write("a.wal", 0o600)
			}, Finding{CheckDataDir, Warn, "a.wal belongs to user 1, and the directory to user 0", "chown"}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "")
			tt.do(r)
			r.t = t
			r.wants(tt.want, strings.Fields(tt.more)...)
		})
	}
}

// TestRealDisk holds that the real machine is asked.
func TestRealDisk(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.Machine = ThisMachine(os.LookupEnv)
	for _, f := range r.examine() {
		if f.State == Fail {
			t.Errorf("got %+v", f)
		}
		if f.Check == CheckDisk && !strings.Contains(f.Found, "free") {
			t.Errorf("got %+v", f)
		}
	}
	if os.Geteuid() != 0 { // whom nothing is forbidden
		r.chmod(".", 0o500)
		r.wants(Finding{CheckDataDir, Fail, "cannot be written", "chown"})
	}
}

func (r *rig) chmod(name string, mode fs.FileMode) {
	r.t.Helper()
	if err := os.Chmod(filepath.Join(r.Config.DataDir, name), mode); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) write(name string, mode fs.FileMode) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.Config.DataDir, name), []byte("x"), mode); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) disk(kind string, free uint64) {
	r.Machine.Disk = func(string) (Disk, error) { return Disk{Type: kind, Free: free}, nil }
}

// TestKeys tries keys that are not the store's.
func TestKeys(t *testing.T) {
	t.Parallel()
	other := identity.NewAtRest([identity.AtRestKeySize]byte{8})
	for name, tt := range map[string]struct {
		key  *identity.AtRest
		err  error
		run  bool
		want Finding
	}{
		"another one":                     {other, nil, false, Finding{CheckKey, Fail, "of 1 mesh(es) cannot be opened", "BROKER_ENCRYPTION_KEY"}},
		"none":                            {nil, nil, false, Finding{CheckKey, Fail, "cannot be opened", "BROKER_ENCRYPTION_KEY"}},
		"none, beside a broker that runs": {nil, nil, true, Finding{CheckKey, OK, "not given to this command", ""}},
		"one that is none":                {nil, identity.ErrAtRestKey, false, Finding{CheckKey, Fail, "64 hex digits", "BROKER_ENCRYPTION_KEY"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "")
			r.Keys = func() (*identity.AtRest, error) { return tt.key, tt.err }
			if tt.run {
				r.run()
			}
			r.wants(tt.want, "listen")
		})
	}
	t.Run("none in production, before the first start", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, "")
		r.remove(backend.StoreName)
		r.Config.Mode = config.Production
		r.Keys = func() (*identity.AtRest, error) { return nil, nil }
		r.wants(Finding{CheckKey, Warn, "does not start without one", "openssl rand"})
		r.Config.Mode = config.Dev
		r.wants(Finding{CheckKey, OK, "broker serve makes one", ""})
	})
	t.Run("one mesh of two is damaged", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, "")
		r.sql(`INSERT INTO mesh SELECT 'other', 'other', name, owner_key, owner_secret, '2.damaged', policy, created_at, archived_at, owner_account FROM mesh`)
		r.wants(Finding{CheckKey, Fail, "a secret of mesh other cannot be opened", "its row"})
	})
}

// TestRunning looks at a broker that runs.
func TestRunning(t *testing.T) {
	t.Parallel()
	refused := func() admin.Loaded {
		return admin.Loaded{LastError: &admin.LoadError{At: time.Now(), Text: "pipeline[2]: no stage is called rote"}}
	}
	for name, tt := range map[string]struct {
		do   func(r *rig)
		want Finding
	}{
		"another version": {func(r *rig) { r.Version = "1.3.0" }, Finding{CheckBroker, Warn, "runs version 1.2.3, this program is 1.3.0", "start the broker again"}},
		"a reload that was refused": {func(r *rig) {
			r.hook.Chain = func() (d chain.Description, running bool, err error) { return d, true, nil }
			r.hook.Loaded = refused
		}, Finding{CheckBroker, Warn, "no stage is called rote", "broker reload"}},
		"a store elsewhere": {func(r *rig) { r.remove(backend.StoreName) }, Finding{CheckStore, Warn, "it uses one that this command was not told of", "DATABASE_URL"}},
		"all is well":       {func(*rig) {}, Finding{CheckBroker, OK, "runs version 1.2.3 since 2026-05-01T12:00:00Z", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "")
			tt.do(r)
			r.run()
			r.wants(tt.want, "listen")
		})
	}
	t.Run("a socket that answers something else", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, "")
		l, err := new(net.ListenConfig).Listen(t.Context(), "unix", filepath.Join(r.Config.DataDir, "broker.sock"))
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.Listener.Close()
		s.Listener = l
		s.Start()
		defer s.Close()
		r.wants(Finding{CheckBroker, Fail, "does not answer", "the user that the broker runs as"})
	})
}

func (r *rig) remove(name string) {
	r.t.Helper()
	if err := os.Remove(filepath.Join(r.Config.DataDir, name)); err != nil {
		r.t.Fatal(err)
	}
}

// TestPlugins tries programs.
func TestPlugins(t *testing.T) {
	t.Parallel()
	program := func(t *testing.T, mode fs.FileMode) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "program")
		if err := os.WriteFile(path, []byte("#!/bin/sh\necho hello\n"), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, tt := range map[string]struct {
		mode fs.FileMode
		pin  string
		want Finding
	}{
		"a wrong pin":            {0o755, strings.Repeat("ab", sha256.Size), Finding{"plugin:limit", Fail, "the config wants abab", "broker plugin pin limit"}},
		"not executable":         {0o644, "", Finding{"plugin:limit", Fail, "chmod +x", "validate"}},
		"a program that is none": {0o755, "", Finding{"plugin:limit", Fail, "", "broker plugin validate"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "")
			r.link(program(t, tt.mode), tt.pin)
			r.wants(tt.want)
		})
	}
	t.Run("one that is not there, and given up", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, "")
		r.link("/nowhere/limit", "")
		r.hook.Plugins = func() []pluginhost.Status {
			return []pluginhost.Status{{Link: "limit", Phase: "quarantined", Down: "ended with exit code 3"}, {Link: "other", Phase: "quarantined"}}
		}
		r.run()
		r.wants(Finding{"plugin:limit", Fail, "no such file", "validate"}, "listen")
		r.wants(Finding{"plugin:limit", Fail, "given it up after too many crashes: ended with exit code 3", "broker plugin resume limit"}, "listen")
	})
	t.Run("one that is disabled", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, "")
		r.link("/nowhere/limit", "")
		r.Config.Pipeline[len(r.Config.Pipeline)-1].Enabled = false
		r.wants(Finding{CheckBus, OK, "", ""})
	})
}

// link adds a plugin to the pipeline.
func (r *rig) link(path, pin string) {
	r.t.Helper()
	text := "insecure: true\npipeline:\n  - stage: limit\n    plugin:\n      path: " + path + "\n"
	if pin != "" {
		text += "      sha256: " + pin + "\n"
	}
	loaded, err := config.Load(config.Options{File: []byte(text)})
	if err != nil {
		r.t.Fatal(err)
	}
	r.Config.Pipeline = append(r.Config.Pipeline, loaded.Config.Pipeline...)
}

// TestChangesNothing holds that a look leaves the data directory as it was, of a
// store that was closed, and of one that was left in the middle.
func TestChangesNothing(t *testing.T) {
	t.Parallel()
	for _, open := range []bool{false, true} {
		r := newRig(t, "")
		if open {
			st, err := backend.OpenStore(t.Context(), r.Config, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
		}
		before := r.snapshot()
		r.examine()
		if diff := cmp.Diff(before, r.snapshot()); diff != "" {
			t.Errorf("open %v: -before +after\n%s", open, diff)
		}
	}
}

// snapshot is what is in the data directory: name, size and time of each file
// that is not shared memory.
func (r *rig) snapshot() map[string]string {
	r.t.Helper()
	all := map[string]string{}
	list, err := os.ReadDir(r.Config.DataDir)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range list {
		info, err := f.Info()
		if err != nil {
			r.t.Fatal(err)
		}
		all[f.Name()] = info.Mode().String()
		if !strings.HasSuffix(f.Name(), "-shm") {
			all[f.Name()] += info.ModTime().String() + bytes(uint64(info.Size()))
		}
	}
	return all
}

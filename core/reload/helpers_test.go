package reload

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wait is how long a test waits for what has to happen.
const wait = 20 * time.Second

// chains is a broker that takes every config, unless ReloadFn says otherwise.
type chains struct {
	ReloadFn func(ctx context.Context, c config.Config) (drain func(context.Context) error, err error)

	config atomic.Pointer[config.Config]
}

func (f *chains) Config() config.Config { return *f.config.Load() }

func (f *chains) CheckReload(context.Context, config.Config) ([]string, error) { return nil, nil }

func (f *chains) Reload(ctx context.Context, c config.Config) (changes []string, drain func(context.Context) error, err error) {
	drain = func(context.Context) error { return nil }
	if f.ReloadFn != nil {
		if drain, err = f.ReloadFn(ctx, c); err != nil {
			return nil, nil, err
		}
	}
	f.config.Store(&c)
	return []string{"rate-limit: changed"}, drain, nil
}

// rig is a Reloader with a real file, which Run and Watch serve.
type rig struct {
	*Reloader
	t      *testing.T
	dir    string
	file   string
	chains *chains
	loads  atomic.Int64 // calls of Load
	stop   func()
}

// newRig writes a config file with place, which gets the name of the file that
// the broker is told of, and loads it.
func newRig(t *testing.T, place func(path string)) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), chains: new(chains)}
	r.file = filepath.Join(r.dir, "broker.yaml")
	place(r.file)
	first, err := r.load()
	if err != nil {
		t.Fatal(err)
	}
	r.chains.config.Store(&first.Config)
	r.Reloader = New(Options{First: first, Load: func() (Loaded, error) {
		r.loads.Add(1)
		return r.load()
	}, Chains: r.chains, Log: slog.New(slog.DiscardHandler)})
	r.settings.Debounce = 20 * time.Millisecond
	return r
}

func (r *rig) load() (Loaded, error) {
	o := config.Options{Path: r.file}
	l := ReadFile(&o)
	loaded, err := config.Load(o)
	if err != nil {
		return l, err
	}
	l.Config = loaded.Config
	return l, nil
}

// run serves until the test ends, or until stop.
func (r *rig) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	r.stop = func() { cancel(); <-done }
	r.t.Cleanup(r.stop)
}

// watchFiles watches until the test ends.
func (r *rig) watchFiles(every, patience time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.watch(ctx, every, patience) }()
	r.t.Cleanup(func() { cancel(); <-done })
}

// until waits for a state.
func (r *rig) until(what string, ok func(admin.Loaded) bool) admin.Loaded {
	r.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(wait)
	for {
		l := r.Loaded()
		if ok(l) {
			return l
		}
		select {
		case <-tick.C:
		case <-deadline:
			r.t.Fatalf("never %s: %+v, last error %+v", what, l, l.LastError)
		}
	}
}

// window is a good config that tells one from another.
func window(n string) string { return "limits: {window: " + n + "}\n" }

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

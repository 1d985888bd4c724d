package control_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/control"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/core/store/freshtest"
	"github.com/claudemesh/broker/core/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openStore returns the operations on a directory's store.
func openStore(t *testing.T, dir string, change func(*admin.Hooks)) (*admin.Local, func() error) {
	t.Helper()
	path := filepath.Join(dir, "broker.db")
	freshtest.File(t, path)
	st, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, Durability: sqlite.Process})
	if err != nil {
		t.Fatal(err)
	}
	hooks := admin.Hooks{
		URL: func() string { return "ws://127.0.0.1:7900/ws" },
		Chain: func() (chain.Description, bool, error) {
			return chain.Description{Links: []chain.LinkDescription{{
				Name: "auth", Stage: "auth", Role: "auth", Enabled: true, OnFailure: chain.FailClosed,
				Stats: &chain.LinkStats{Link: "auth", Timing: chain.Timing{Count: 3, Sum: time.Second, Bounds: []time.Duration{1}, Counts: []uint64{3, 0}}},
			}}}, true, nil
		},
		Migrations: func(context.Context) ([]admin.Migration, error) {
			return []admin.Migration{{Version: 1, Name: "0001_init.sql", SHA256: "ab", AppliedAt: time.UnixMilli(1).UTC()}, {Version: 2}}, nil
		},
		Loaded: func() admin.Loaded {
			at := time.Date(2026, 11, 23, 1, 2, 3, 4e6, time.UTC)
			return admin.Loaded{Generation: 3, At: at, By: admin.ByFile, SHA256: "5a", LastError: &admin.LoadError{At: at, By: admin.BySignal, Text: "no"}}
		},
		Reload: func(_ context.Context, o admin.ReloadOptions) (*admin.Reload, error) {
			return &admin.Reload{Applied: !o.DryRun, Drained: o.Wait, Generation: 4, Changes: []string{"auth: changed"}}, nil
		},
		Plugins: func() []pluginhost.Status {
			return []pluginhost.Status{{Link: "hours", Path: "/bin/hours", Pinned: true, Phase: "quarantined", Stderr: "panic: no\n", PID: 7}}
		},
		ResumePlugin: func(link string) error {
			if link != "hours" {
				return fmt.Errorf("no link %q of the running chain has a plugin", link)
			}
			return nil
		},
	}
	if change != nil {
		change(&hooks)
	}
	return admin.New(st, identity.NewAtRest([identity.AtRestKeySize]byte{1}), hooks), st.Close
}

// serve answers on a directory's socket until the test ends.
func serve(t *testing.T, dir string, ops admin.Ops) *control.Server {
	t.Helper()
	s, err := control.Serve(t.Context(), dir, ops, control.About{Version: "test", PID: os.Getpid(), URL: "ws://here/ws"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *control.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
}

// noStore is for tests in which the store must not be opened.
func noStore(t *testing.T) control.Direct {
	t.Helper()
	return func(context.Context) (admin.Ops, func() error, error) {
		t.Error("the store was opened beside a running broker")
		return nil, nil, context.Canceled
	}
}

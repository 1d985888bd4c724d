package postgres

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/pgtest"
)

func TestOptionsAndURL(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	for name, tt := range map[string]struct {
		o    Options
		want map[string]string
	}{
		"what is set by default": {Options{URL: url}, map[string]string{
			"statement_timeout": "15s", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "2s",
			"application_name": "claudemesh-broker", "search_path": "broker", "jit": "off",
			"tcp_keepalives_idle": "10", "enable_seqscan": "off",
		}},
		"what the options say": {Options{URL: url, StatementTimeout: 3 * time.Second, LockTimeout: 1500 * time.Millisecond},
			map[string]string{"statement_timeout": "3s", "lock_timeout": "1500ms"}},
		"what the URL says goes first, but for the schema": {
			Options{URL: url + "&statement_timeout=7s&application_name=mine&jit=on&search_path=public", StatementTimeout: time.Second},
			map[string]string{"statement_timeout": "7s", "application_name": "mine", "jit": "on", "search_path": "broker"}},
	} {
		s := mustOpen(t, tt.o)
		for setting, want := range tt.want {
			got, err := one(t.Context(), s, value[string], "SELECT current_setting($1)", setting)
			if err != nil || got != want {
				t.Errorf("%s: %s is %q, error %v; want %q", name, setting, got, err, want)
			}
		}
		s.Close()
	}
	for url, want := range map[string]int32{url: 10, url + "&pool_max_conns=3": 3} {
		s := mustOpen(t, Options{URL: url})
		if got := s.pool.Config().MaxConns; got != want {
			t.Errorf("got %d connections at most, want %d", got, want)
		}
		s.Close()
	}
}

func TestDurability(t *testing.T) {
	t.Parallel()
	for d, want := range map[Durability]string{Power: "on", Process: "off", "": "on"} {
		s := fresh(t, Options{Durability: d})
		// A trigger notes how the transaction will be committed.
		for _, query := range []string{
			`CREATE TABLE noted (setting text)`,
			`CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
				$$ BEGIN INSERT INTO noted VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$`,
			`CREATE TRIGGER note AFTER INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION note()`,
		} {
			if _, err := s.pool.Exec(t.Context(), query); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Commit(t.Context(), &store.Batch{Audit: []*audit.Entry{{MeshID: "m", CreatedAt: time.Now()}}}); err != nil {
			t.Fatal(err)
		}
		got, err := one(t.Context(), s, value[string], `SELECT setting FROM noted`)
		if err != nil || got != want {
			t.Errorf("durability %q: synchronous_commit is %s, error %v; want %s", d, got, err, want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for name, tt := range map[string]struct {
		o    Options
		away bool
		want string
	}{
		"no URL":             {Options{}, false, "a URL is needed"},
		"no such form":       {Options{URL: "postgres://ada:secret@[::1/x"}, false, "the database's URL cannot be read"},
		"unknown durability": {Options{URL: url, Durability: "none"}, false, `durability "none"`},
		"nobody listens":     {Options{URL: "postgres://ada:secret@127.0.0.1:1/x"}, true, ""},
		"nobody answers": {Options{URL: "postgres://ada:secret@" + silent.Addr().String() + "/x",
			ConnectTimeout: 200 * time.Millisecond}, true, ""},
	} {
		s, err := Open(t.Context(), tt.o)
		if err == nil {
			s.Close()
			t.Fatalf("%s: got no error", name)
		}
		if errors.Is(err, store.ErrUnavailable) != tt.away || !strings.HasPrefix(err.Error(), "open store: ") ||
			!strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %q", name, err)
		}
	}
}

func TestClosedStore(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, Options{URL: pgtest.URL(t)})
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := s.Ping(t.Context()); err == nil {
		t.Error("a closed store answers")
	}
}

// A statement that takes too long is given up, and says that it is the database.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	s := fresh(t, Options{StatementTimeout: 100 * time.Millisecond, LockTimeout: 50 * time.Millisecond})
	ctx := t.Context()
	if _, err := s.exec(ctx, "SELECT pg_sleep(60)"); !errors.Is(kindOf(err), store.ErrUnavailable) {
		t.Errorf("got error %v", err)
	}
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	if _, err := tx.Exec(ctx, "LOCK TABLE delivery"); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(ctx, numbered(1)); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got error %v", err)
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(ctx, numbered(1)); err != nil {
		t.Error(err)
	}
}

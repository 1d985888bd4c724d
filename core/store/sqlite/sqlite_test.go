package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
)

// mustOpen opens a store that the caller closes.
func mustOpen(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fresh opens a new store, which is closed with the test.
func fresh(t *testing.T, o Options) *Store {
	t.Helper()
	if o.Path == "" {
		o.Path = filepath.Join(t.TempDir(), "broker.db")
	}
	s := mustOpen(t, o)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// What need not wait for the disk takes no part in what others wait for.
func TestLazyWritesLeaveTheConnectionAsItWas(t *testing.T) {
	for durability, want := range map[Durability]int{Power: 2, Process: 1} {
		s := fresh(t, Options{Durability: durability})
		var inside, after int
		err := s.updateLazily(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
			if err := tx.QueryRowContext(ctx, `PRAGMA synchronous`).Scan(&inside); err != nil {
				return err
			}
			return errors.New("no reason")
		})
		if err == nil || err.Error() != "no reason" {
			t.Errorf("got error %v", err)
		}
		if err := s.write.QueryRow(`PRAGMA synchronous`).Scan(&after); err != nil {
			t.Fatal(err)
		}
		if inside != 1 || after != want {
			t.Errorf("%s: synchronous is %d inside and %d after, want 1 and %d", durability, inside, after, want)
		}
	}
}

func TestOpenSetsWhatItPromises(t *testing.T) {
	for _, tt := range []struct {
		durability  Durability
		synchronous string
	}{
		{"", "2"}, {Power, "2"}, {Process, "1"},
	} {
		t.Run("durability "+string(tt.durability), func(t *testing.T) {
			s := fresh(t, Options{Durability: tt.durability, BusyTimeout: time.Second})
			for pragma, want := range map[string]string{
				"synchronous": tt.synchronous, "journal_mode": "wal", "foreign_keys": "1", "busy_timeout": "1000",
				"journal_size_limit": "67108864", "temp_store": "2",
			} {
				var got string
				if err := s.write.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
					t.Errorf("%s is %q, error %v; want %q", pragma, got, err, want)
				}
			}
			if _, err := s.read.Exec(`DELETE FROM mesh`); err == nil {
				t.Error("a connection for reading can write")
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("this is no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"no path":            {},
		"unknown durability": {Path: filepath.Join(dir, "a"), Durability: "none"},
		"missing folder":     {Path: filepath.Join(dir, "none", "a")},
		"another file":       {Path: text},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(t.Context(), o)
			if err == nil {
				s.Close()
				t.Fatal("got no error")
			}
			if !strings.HasPrefix(err.Error(), "open store: ") {
				t.Errorf("got %q, want it to begin with the operation", err)
			}
		})
	}
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	s := fresh(t, Options{Path: filepath.Join(dir, "broker.db")})
	if err := s.CreateMesh(t.Context(), &store.Mesh{ID: "m", CreatedAt: time.Now()}, nil); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", f.Name(), info.Mode())
		}
		names = append(names, f.Name())
	}
	if got, want := strings.Join(names, " "), "broker.db broker.db-shm broker.db-wal broker.db.lock"; got != want {
		t.Errorf("got files %s, want %s", got, want)
	}
}

func TestAnyFileName(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a b.db", "a?b=c.db", "50%20.db", "größe#1&2.db", "+;'\".db"} {
		s := mustOpen(t, Options{Path: filepath.Join(dir, name)})
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: got no database there, error %v", name, err)
		}
	}
}

func TestWaitForTheWriteConnectionEndsWithTheContext(t *testing.T) {
	s := fresh(t, Options{})
	conn, err := s.write.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err = s.Commit(ctx, &store.Batch{Audit: []*audit.Entry{{MeshID: "m", CreatedAt: time.Now()}}})
	if err == nil || ctx.Err() == nil {
		t.Errorf("got error %v", err)
	}
}

func TestClosedStore(t *testing.T) {
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "broker.db")})
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := s.Ping(t.Context()); err == nil {
		t.Error("a closed store answers")
	}
}

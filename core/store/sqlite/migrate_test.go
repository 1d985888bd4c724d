package sqlite

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/migrations"
)

// second is a migration that the program does not have yet.
const second = "-- +goose Up\nCREATE TABLE second (id INTEGER PRIMARY KEY);\n"

// files are the program's migrations with more beside them.
func files(t *testing.T, more map[string]string) fstest.MapFS {
	t.Helper()
	all := make(fstest.MapFS)
	sub, err := fs.Sub(migrations.SQLite, "sqlite")
	if err != nil {
		t.Fatal(err)
	}
	names, err := fs.Glob(sub, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(sub, name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = &fstest.MapFile{Data: text}
	}
	for name, text := range more {
		all[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return all
}

// tables lists the tables of a store.
func tables(t *testing.T, s *Store) string {
	t.Helper()
	var list string
	err := s.read.QueryRow(`SELECT group_concat(name, ' ' ORDER BY name) FROM sqlite_schema WHERE type = 'table'`).Scan(&list)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestMigrationsAreAppliedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broker.db")
	before := time.Now().Add(-time.Second)
	var lists [2][]Migration
	for i := range lists {
		s := mustOpen(t, Options{Path: path})
		list, err := s.Migrations(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		lists[i] = list
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(lists[0], lists[1]); diff != "" {
		t.Errorf("the second open changed the list:\n%s", diff)
	}
	first := lists[0][0]
	sum := sha256.Sum256(files(t, nil)["0001_init.sql"].Data)
	if first.Version != 1 || first.Name != "0001_init.sql" || first.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("got %+v", first)
	}
	if first.AppliedAt.Before(before) || time.Since(first.AppliedAt) < 0 {
		t.Errorf("applied at %v", first.AppliedAt)
	}
}

func TestNewMigrationIsAppliedToAnOldStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broker.db")
	if err := mustOpen(t, Options{Path: path}).Close(); err != nil {
		t.Fatal(err)
	}
	s, err := open(t.Context(), Options{Path: path}, files(t, map[string]string{"9002_second.sql": second}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !strings.Contains(tables(t, s), " second ") {
		t.Errorf("got tables %s", tables(t, s))
	}
	list, err := s.Migrations(t.Context())
	if err != nil || list[len(list)-1].Name != "9002_second.sql" {
		t.Errorf("got %+v, error %v", list, err)
	}
}

func TestOtherMigrationsAreRefused(t *testing.T) {
	applied := map[string]string{"9002_second.sql": second}
	for name, tt := range map[string]struct {
		now  map[string]string
		want string
	}{
		"a changed file": {
			map[string]string{"9002_second.sql": second + "-- better"},
			"migration 9002_second.sql was changed after this store applied it",
		},
		"a newer store": {
			nil, "it is at migration 9002_second.sql, which this program does not have",
		},
		"another file in its place": {
			map[string]string{"9003_third.sql": second},
			"the store applied migration 9002_second.sql where this program has 9003_third.sql",
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "broker.db")
			s, err := open(t.Context(), Options{Path: path}, files(t, applied))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s, err = open(t.Context(), Options{Path: path}, files(t, tt.now))
			if err == nil {
				s.Close()
				t.Fatal("got no error")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want it to say %q", err, tt.want)
			}
		})
	}
}

func TestFailedMigrationLeavesTheStoreAsItWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broker.db")
	bad := second + "CREATE TABLE second (id INTEGER PRIMARY KEY);\n"
	if s, err := open(t.Context(), Options{Path: path}, files(t, map[string]string{"9002_bad.sql": bad})); err == nil {
		s.Close()
		t.Fatal("got no error")
	}
	s := fresh(t, Options{Path: path})
	if strings.Contains(tables(t, s), " second ") {
		t.Error("half of the migration was applied")
	}
	if list, err := s.Migrations(t.Context()); err != nil || list[len(list)-1].Name == "9002_bad.sql" {
		t.Errorf("got %+v, error %v", list, err)
	}
}

func TestMigrationThatWasNotRecordedIsRecordedLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broker.db")
	s := mustOpen(t, Options{Path: path})
	want, err := s.Migrations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.Exec(`DELETE FROM migration_file`); err != nil { // as if killed before
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := fresh(t, Options{Path: path}).Migrations(t.Context())
	if err != nil || len(got) != len(want) || got[0].SHA256 != want[0].SHA256 {
		t.Errorf("got %+v, error %v; want %+v", got, err, want)
	}
}

func TestManyOpenANewFileAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broker.db")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := Open(t.Context(), Options{Path: path})
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// The embedded set is what releases carry; a second engine's folder beside it
// must not slip in.
func TestEmbeddedMigrations(t *testing.T) {
	names := maps.Keys(files(t, nil))
	for name := range names {
		if ok, err := filepath.Match("[0-9][0-9][0-9][0-9]_*.sql", name); err != nil || !ok {
			t.Errorf("migration %s has no number", name)
		}
	}
}

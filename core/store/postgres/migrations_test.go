package postgres

import (
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/pgtest"
	"github.com/claudemesh/broker/migrations"
)

// second is a migration that the program does not have yet.
const second = "-- +goose Up\nCREATE TABLE broker.second (id bigint PRIMARY KEY);\n"

// files are the program's migrations with more beside them.
func files(t *testing.T, more map[string]string) fstest.MapFS {
	t.Helper()
	all := make(fstest.MapFS)
	sub, err := fs.Sub(migrations.Postgres, "postgres")
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

// tables lists the tables of the broker, in all schemas.
func tables(t *testing.T, s *Store) string {
	t.Helper()
	list, err := one(t.Context(), s, value[string], `SELECT coalesce(string_agg(schemaname || '.' || tablename, ' ' ORDER BY 1), '')
		FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func names(list []Migration) string {
	var names []string
	for _, m := range list {
		names = append(names, m.Name)
	}
	return strings.Join(names, " ")
}

func TestMigrationsAreAppliedOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	before := time.Now().Add(-time.Second)
	var lists [2][]Migration
	for i := range lists {
		s := mustOpen(t, Options{URL: url, Migrate: true})
		list, err := s.Migrations(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		lists[i] = list
		for table := range strings.FieldsSeq(tables(t, s)) {
			if !strings.HasPrefix(table, "broker.") {
				t.Errorf("table %s is elsewhere", table)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(lists[0], lists[1]); diff != "" {
		t.Errorf("the second open changed the list:\n%s", diff)
	}
	first := lists[0][0]
	if first.Version != 1 || first.Name != "0001_init.sql" || len(first.SHA256) != 64 {
		t.Errorf("got %+v", first)
	}
	if first.AppliedAt.Before(before) || time.Since(first.AppliedAt) < 0 {
		t.Errorf("applied at %v", first.AppliedAt)
	}
}

func TestMigrationsAreLeftToTheOperator(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	s := mustOpen(t, Options{URL: url})
	defer s.Close()
	ctx := t.Context()
	if got := tables(t, s); got != "" {
		t.Errorf("open made tables %s", got)
	}
	if list, err := s.Migrations(ctx); err != nil || len(list) != 0 {
		t.Errorf("got %v, error %v", list, err)
	}
	list, err := s.PendingMigrations(ctx)
	if err != nil || !strings.HasPrefix(names(list), "0001_init.sql") {
		t.Errorf("got %v, error %v", list, err)
	}
	for range 2 {
		if err := s.Up(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := s.PendingMigrations(ctx); err != nil || len(list) != 0 {
		t.Errorf("got %v, error %v", list, err)
	}
	if done, err := s.Migrations(ctx); err != nil || names(done) != names(list) {
		t.Errorf("got %v, error %v", done, err)
	}
}

func TestNewMigrationIsAppliedToAnOldStore(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	old := fresh(t, Options{URL: url})
	s, err := open(t.Context(), Options{URL: url, Migrate: true}, files(t, map[string]string{"9002_second.sql": second}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !strings.Contains(tables(t, s), "broker.second") {
		t.Errorf("got tables %s", tables(t, s))
	}
	list, err := old.Migrations(t.Context())
	if err != nil || list[len(list)-1].Name != "9002_second.sql" {
		t.Errorf("the other process sees %+v, error %v", list, err)
	}
	if _, err := old.PendingMigrations(t.Context()); err == nil {
		t.Error("the other process is content with a newer database")
	}
}

func TestOtherMigrationsAreRefused(t *testing.T) {
	t.Parallel()
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
		for _, migrate := range []bool{false, true} {
			url := pgtest.URL(t)
			s, err := open(t.Context(), Options{URL: url, Migrate: true}, files(t, applied))
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
			s, err = open(t.Context(), Options{URL: url, Migrate: migrate}, files(t, tt.now))
			if err == nil {
				s.Close()
				t.Fatalf("%s: got no error", name)
			}
			if !strings.Contains(err.Error(), tt.want) || errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%s: got %q, want it to say %q", name, err, tt.want)
			}
		}
	}
}

func TestFailedMigrationLeavesTheStoreAsItWas(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	bad := files(t, map[string]string{"9002_bad.sql": second + "CREATE TABLE broker.second (id bigint);\n"})
	if s, err := open(t.Context(), Options{URL: url, Migrate: true}, bad); err == nil {
		s.Close()
		t.Fatal("got no error")
	}
	s := fresh(t, Options{URL: url})
	if strings.Contains(tables(t, s), "broker.second") {
		t.Error("half of the migration was applied")
	}
	ours, err := s.Migrations(t.Context())
	if err != nil || strings.Contains(names(ours), "bad") || len(ours) == 0 {
		t.Errorf("got %+v, error %v", ours, err)
	}
}

func TestManyOpenANewDatabaseAtOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			s, err := Open(t.Context(), Options{URL: url, Migrate: true})
			if err != nil {
				t.Error(err)
				return
			}
			s.Close()
		})
	}
	wg.Wait()
}

func TestMigrationLockHasADeadline(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	holder := mustOpen(t, Options{URL: url + "&application_name=other"})
	defer holder.Close()
	release, ok, err := holder.TryLock(t.Context(), migrationLock)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	_, err = Open(t.Context(), Options{URL: url, Migrate: true, MigrateTimeout: 250 * time.Millisecond})
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "(other on ") ||
		!strings.Contains(err.Error(), "has been migrating this database for more than 250ms: wait for it") {
		t.Errorf("got error %v", err)
	}
	time.AfterFunc(50*time.Millisecond, release)
	fresh(t, Options{URL: url})
}

// The embedded set is what releases carry; a second engine's folder beside it
// must not slip in.
func TestEmbeddedMigrations(t *testing.T) {
	for name := range maps.Keys(files(t, nil)) {
		if ok, err := filepath.Match("[0-9][0-9][0-9][0-9]_*.sql", name); err != nil || !ok {
			t.Errorf("migration %s has no number", name)
		}
	}
}

package postgres

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/pgtest"
	"github.com/claudemesh/broker/core/store/storetest"
)

// tampered is a store whose rows the suite can change behind its back.
type tampered struct{ *Store }

func (s tampered) Exec(query string) error {
	_, err := s.pool.Exec(context.Background(), query)
	return err
}

// databases are for the tests of one suite. A database that a test has left is
// emptied for the next one, which takes a fraction of the time of a new one.
type databases struct {
	suite  *testing.T
	params string // for every URL

	mu   sync.Mutex
	of   map[string]string // tests that run → URL
	free []string
}

func newDatabases(t *testing.T) *databases {
	t.Helper()
	return &databases{suite: t, of: make(map[string]string)}
}

// open opens the database of a test, the same one each time.
func (d *databases) open(t *testing.T) tampered {
	t.Helper()
	return tampered{mustOpen(t, Options{URL: d.url(t) + d.params, Durability: Process, Migrate: true})}
}

func (d *databases) url(t *testing.T) string {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if url := d.of[t.Name()]; url != "" {
		return url
	}
	var url string
	if n := len(d.free); n > 0 {
		url, d.free = d.free[n-1], d.free[:n-1]
	} else {
		url = pgtest.URL(d.suite)
	}
	d.of[t.Name()] = url
	t.Cleanup(func() { d.putBack(t, url) }) // after the test has closed its stores
	return url
}

const emptyTables = `
DO $$ BEGIN
	EXECUTE (SELECT 'TRUNCATE ' || string_agg('broker.' || tablename, ', ') || ' RESTART IDENTITY' FROM pg_tables
		WHERE schemaname = 'broker' AND tablename NOT IN ('migration_file', 'goose_db_version', 'queue_mark'));
	UPDATE broker.queue_mark SET last_seq = 0;
END $$`

func (d *databases) putBack(t *testing.T, url string) {
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(context.Background(), emptyTables); err != nil {
		t.Error(err)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.of, t.Name())
	d.free = append(d.free, url)
}

func TestStore(t *testing.T) {
	d := newDatabases(t)
	storetest.Run(t, func(t *testing.T) store.Store { t.Helper(); return d.open(t) })
}

func TestShared(t *testing.T) {
	d := newDatabases(t)
	storetest.RunShared(t, func(t *testing.T) storetest.SharedStore { t.Helper(); return d.open(t) })
}

// All of it works without prepared statements, as behind PgBouncer.
func TestWithoutPreparedStatements(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole suite once more")
	}
	d := newDatabases(t)
	d.params = "&default_query_exec_mode=exec"
	storetest.Run(t, func(t *testing.T) store.Store { t.Helper(); return d.open(t) })
	storetest.RunShared(t, func(t *testing.T) storetest.SharedStore { t.Helper(); return d.open(t) })
}

// mustOpen opens a store that the caller closes.
func mustOpen(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fresh opens a store, in a new database unless the options name one; it is
// closed with the test.
func fresh(t testing.TB, o Options) *Store {
	t.Helper()
	if o.URL == "" {
		o.URL = pgtest.URL(t)
	}
	o.Migrate = true
	s := mustOpen(t, o)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Package postgres keeps everything in one PostgreSQL database, version 13 or
// newer, in a schema of its own named "broker". Several brokers may share the
// database; see [store.Shared].
//
// Text cannot hold a NUL byte or invalid UTF-8: a row with such a text is
// refused with [store.ErrText], and the whole batch that it is in. What peers
// seal (nonces, ciphertexts, fingerprints) may hold any bytes.
//
// Behind PgBouncer in transaction mode add default_query_exec_mode=exec to the
// URL, let the role have search_path=broker, and let ignore_startup_parameters
// name what this package sets. Locks and migrations are bound to a session:
// they need session mode, or a connection around PgBouncer.
package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/migrate"
	"github.com/claudemesh/broker/migrations"
)

var (
	_ store.Store  = (*Store)(nil)
	_ store.Shared = (*Store)(nil)
)

// Durability says what a committed batch survives.
type Durability string

// Durabilities. Either way a committed batch survives the end of the broker's
// process. What is not written by Commit always survives a power cut.
const (
	Power   Durability = "power"   // survives the crash of the database server and a power cut
	Process Durability = "process" // such a crash may take the newest batches, never half of one
)

// Migration is one file of SQL.
type Migration = migrate.Migration

// Options say how to open a store. Zero fields take the default.
type Options struct {
	// URL is a connection string in either of libpq's forms. Parameters in it
	// go before the fields below.
	URL string

	MaxConns         int32         // connections, beside one for each lock that is held; default 10
	ConnectTimeout   time.Duration // for one attempt to connect; default 5 s
	StatementTimeout time.Duration // for one statement; default 15 s. Streams and migrations have none
	LockTimeout      time.Duration // for one wait for a row or table; default 5 s
	OutcomeTimeout   time.Duration // how long Commit asks what became of it after its connection broke; default 10 s

	Durability Durability // default Power

	Migrate        bool          // apply what is pending
	MigrateTimeout time.Duration // how long to wait for another process that migrates; default 60 s

	Log *slog.Logger // default: nothing is logged
}

// withDefaults fills in the zero fields.
func (o Options) withDefaults() (Options, error) {
	o.MaxConns = cmp.Or(o.MaxConns, 10)
	o.ConnectTimeout = cmp.Or(o.ConnectTimeout, 5*time.Second)
	o.StatementTimeout = cmp.Or(o.StatementTimeout, 15*time.Second)
	o.LockTimeout = cmp.Or(o.LockTimeout, 5*time.Second)
	o.OutcomeTimeout = cmp.Or(o.OutcomeTimeout, 10*time.Second)
	o.Durability = cmp.Or(o.Durability, Power)
	o.MigrateTimeout = cmp.Or(o.MigrateTimeout, time.Minute)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case o.URL == "":
		return o, errors.New("a URL is needed, such as postgres://broker@localhost/broker")
	case o.Durability != Power && o.Durability != Process:
		return o, fmt.Errorf("durability %q: want %q or %q", o.Durability, Power, Process)
	}
	return o, nil
}

// Store is a [store.Store] in one database, and a [store.Shared].
type Store struct {
	pool  *pgxpool.Pool
	o     Options
	log   *slog.Logger
	files fs.FS // migrations, as embedded
	locks locks

	committers chan *committer // holds the only one
	forgetAt   atomic.Int64    // when used tokens are deleted next, in ns since 1970
}

// Open connects to the database and brings its tables up to date when the
// options say so. It fails when the database applied other migrations than this
// program's; that it has not applied all of them yet is no error, see
// [Store.PendingMigrations].
//
// An error that wraps [store.ErrUnavailable] means that it may work later.
func Open(ctx context.Context, o Options) (*Store, error) {
	files, err := fs.Sub(migrations.Postgres, "postgres")
	if err != nil {
		return nil, err
	}
	return open(ctx, o, files)
}

// open is Open with the migrations of the caller's choice.
func open(ctx context.Context, o Options, files fs.FS) (_ *Store, err error) {
	defer wrap(&err, "open store")
	if o, err = o.withDefaults(); err != nil {
		return nil, err
	}
	config, err := o.config()
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), config)
	if err != nil {
		return nil, err
	}
	s := &Store{pool: pool, o: o, log: o.Log, files: files, committers: make(chan *committer, 1)}
	s.committers <- newCommitter()
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// start migrates, or sees to it that the tables are not another program's.
func (s *Store) start(ctx context.Context) error {
	if s.o.Migrate {
		return s.Up(ctx)
	}
	_, err := s.PendingMigrations(ctx)
	return err
}

// Ping asks the database for an answer.
func (s *Store) Ping(ctx context.Context) (err error) {
	defer wrap(&err, "ping")
	ctx, cancel := s.within(ctx)
	defer cancel()
	return s.pool.Ping(ctx)
}

// Close ends all locks and waits for running queries.
func (s *Store) Close() error {
	s.locks.end()
	s.pool.Close()
	return nil
}

// within bounds a call whose caller waits for as long as it takes: longer than
// the server would let it take, so that only a server that is gone is given up.
func (s *Store) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.o.ConnectTimeout+s.o.StatementTimeout+time.Second)
}

// Package sqlite keeps everything in one SQLite file, without cgo. It is the
// engine of a broker that has no database server.
//
// One connection writes and a few others read. In WAL mode readers see the last
// committed state, and neither waits for the other. Several processes may have
// the file open, a running broker and a command line tool for example; each
// write transaction takes the file's write lock when it begins, so it waits for
// its turn there and never fails halfway because another one was first.
package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"modernc.org/sqlite"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/migrations"
)

var _ store.Store = (*Store)(nil)

// Durability says what a committed transaction survives.
type Durability string

// Durabilities. Either way a committed transaction survives the end of the
// process, kill -9 too.
const (
	Power   Durability = "power"   // survives a power cut: fsync before Commit returns
	Process Durability = "process" // a power cut may take the newest transactions, never half of one
)

// Options say how to open a store. Zero fields take the default.
type Options struct {
	Path        string        // the database file; made when missing, readable by its owner only
	Durability  Durability    // default Power
	BusyTimeout time.Duration // how long to wait for another process's transaction; default 5 s
	Readers     int           // connections for reading; default 4
}

// Store is a [store.Store] in one file.
type Store struct {
	write *sql.DB // one connection
	read  *sql.DB // refuses to write
	files fs.FS   // migrations, as embedded

	commit  *committer // used by who holds the write connection
	prepare prepared   // reads that every connect or send does
}

// Open opens the store, makes the file when there is none, and brings its
// tables up to date. Other processes that open the same file wait meanwhile.
func Open(ctx context.Context, o Options) (*Store, error) {
	files, err := fs.Sub(migrations.SQLite, "sqlite")
	if err != nil {
		return nil, err
	}
	return open(ctx, o, files)
}

// open is Open with the migrations of the caller's choice.
func open(ctx context.Context, o Options, files fs.FS) (_ *Store, err error) {
	defer wrap(&err, "open store")
	if o.Path == "" {
		return nil, errors.New("a path is needed")
	}
	writer, reader, err := o.connect()
	if err != nil {
		return nil, err
	}
	s := &Store{write: writer, read: reader, files: files}
	if err := s.start(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// connect makes both pools. They open the file when they are first used.
func (o Options) connect() (writer, reader *sql.DB, err error) {
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, nil, err
	}
	var synchronous string
	switch cmp.Or(o.Durability, Power) {
	case Power:
		synchronous = "FULL"
	case Process:
		synchronous = "NORMAL"
	default:
		return nil, nil, fmt.Errorf("durability %q: want %q or %q", o.Durability, Power, Process)
	}
	timeout := strconv.FormatInt(cmp.Or(o.BusyTimeout, 5*time.Second).Milliseconds(), 10)

	writer, err = pool(path, 1, url.Values{
		"_busy_timeout": {timeout},
		"_journal_mode": {"WAL"},
		"_synchronous":  {synchronous},
		"_foreign_keys": {"on"},
		"_txlock":       {"immediate"},
		"_pragma":       {pageCache, "temp_store(memory)", checkpointPages, walLimit},
	})
	if err != nil {
		return nil, nil, err
	}
	reader, err = pool(path, cmp.Or(o.Readers, 4), url.Values{
		"_busy_timeout": {timeout},
		"_query_only":   {"on"},
		"_pragma":       {pageCache, "temp_store(memory)"},
	})
	return writer, reader, err
}

const (
	// pageCache is the memory of one connection, in KiB. More makes commits
	// slower: SQLite looks at every cached page at the end of most of them (32
	// MiB cost 0.2 ms a commit). The system's cache is behind it.
	pageCache = "cache_size(-2000)"

	// The commit that brings the write-ahead log to this many pages of 4 KiB
	// copies it into the database, which takes some ten milliseconds. A longer
	// log costs less work, because more changes of one page are copied once,
	// and a longer wait.
	checkpointPages = "wal_autocheckpoint(2000)"

	// walLimit is what is left of the log's file when a long read, which keeps
	// the log from starting anew, has made it grow.
	walLimit = "journal_size_limit(67108864)"
)

// pool returns a pool of at most n connections that are never given up.
func pool(path string, n int, settings url.Values) (*sql.DB, error) {
	file := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: settings.Encode()}
	connector, err := sqlite.NewConnector(file.String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// start makes the file, migrates it and prepares statements.
func (s *Store) start(ctx context.Context, o Options) (err error) {
	unlock, err := lock(ctx, o.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()

	// SQLite gives the log and the shared memory file the mode of this one.
	if err := touch(o.Path); err != nil {
		return err
	}
	if err := s.migrate(ctx); err != nil {
		return err
	}
	if s.commit, err = newCommitter(ctx, s.write); err != nil {
		return err
	}
	return s.prepare.open(ctx, s.read)
}

// Ping reads from the file.
func (s *Store) Ping(ctx context.Context) (err error) {
	defer wrap(&err, "ping")
	var n int
	return s.read.QueryRowContext(ctx, `SELECT count(*) FROM queue_mark`).Scan(&n)
}

// Close waits for running queries and closes the file. The last one to close it
// copies the log into it and removes the log.
func (s *Store) Close() error {
	return errors.Join(s.read.Close(), s.write.Close())
}

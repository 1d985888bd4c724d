package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"time"

	"github.com/pressly/goose/v3"
)

// Migration is one file of SQL that was applied to this store.
type Migration struct {
	Version   int64
	Name      string // of the file
	SHA256    string // of its text, 64 lower-case hex digits
	AppliedAt time.Time
}

// Goose counts versions in its own table; this one remembers what the files
// said.
const createMigrationFile = `
CREATE TABLE IF NOT EXISTS migration_file (
    version    INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL,
    sha256     TEXT    NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT`

const recordMigration = `INSERT INTO migration_file (version, name, sha256, applied_at) VALUES (?, ?, ?, ?)`

const listMigrations = `SELECT version, name, sha256, applied_at FROM migration_file ORDER BY version`

// Migrations returns what was applied to the store, oldest first.
func (s *Store) Migrations(ctx context.Context) (list []Migration, err error) {
	defer wrap(&err, "list migrations")
	return applied(ctx, s.read)
}

// lock waits until this process alone may open the store at path, and returns
// the function that lets the next one in. What it locks is an empty database
// beside the store's, because each migration needs a transaction of its own on
// the store: SQLite's locks exist on every system and end with their process.
func lock(ctx context.Context, path string) (unlock func() error, err error) {
	path += ".lock"
	if err := touch(path); err != nil {
		return nil, err
	}
	db, err := pool(path, 1, url.Values{"_busy_timeout": {"60000"}, "_txlock": {"exclusive"}})
	if err != nil {
		return nil, err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("wait for another process that opens the store: %w", err), db.Close())
	}
	return func() error { return errors.Join(tx.Rollback(), db.Close()) }, nil
}

// touch makes an empty file for its owner only, unless it exists.
func touch(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// migrate applies the files that this store has not seen, and refuses a store
// whose files were others than ours.
func (s *Store) migrate(ctx context.Context) error {
	if _, err := s.write.ExecContext(ctx, createMigrationFile); err != nil {
		return err
	}
	ours, err := s.embedded()
	if err != nil {
		return err
	}
	theirs, err := applied(ctx, s.write)
	if err != nil {
		return err
	}
	if err := compare(ours, theirs); err != nil || len(theirs) == len(ours) {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, s.write, s.files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return err
	}
	return s.record(ctx, ours[len(theirs):])
}

// record remembers files after goose has applied them. A process that ends in
// between leaves goose's count ahead of our table; the next Open comes here
// again, because goose then has nothing to do.
func (s *Store) record(ctx context.Context, files []Migration) error {
	now := time.Now()
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, m := range files {
			if _, err := tx.ExecContext(ctx, recordMigration, m.Version, m.Name, m.SHA256, now.UnixMilli()); err != nil {
				return err
			}
		}
		return nil
	})
}

// embedded lists the files that this program has, oldest first.
func (s *Store) embedded() ([]Migration, error) {
	names, err := fs.Glob(s.files, "*.sql") // sorted
	if err != nil {
		return nil, err
	}
	var list []Migration
	for _, name := range names {
		text, err := fs.ReadFile(s.files, name)
		if err != nil {
			return nil, err
		}
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", name, err)
		}
		sum := sha256.Sum256(text)
		list = append(list, Migration{Version: version, Name: path.Base(name), SHA256: hex.EncodeToString(sum[:])})
	}
	return list, nil
}

// compare returns an error unless what was applied is how our list begins.
func compare(ours, theirs []Migration) error {
	if len(theirs) > len(ours) {
		return fmt.Errorf("the store is at migration %s, which this program does not have: use a newer program",
			theirs[len(theirs)-1].Name)
	}
	for i, was := range theirs {
		is := ours[i]
		if was.Version != is.Version {
			return fmt.Errorf("the store applied migration %s where this program has %s", was.Name, is.Name)
		}
		if was.SHA256 != is.SHA256 {
			return fmt.Errorf("migration %s was changed after this store applied it (SHA-256 then %.12s…, now %.12s…): "+
				"restore the file, and put the change in a new one", is.Name, was.SHA256, is.SHA256)
		}
	}
	return nil
}

// applied reads the list from either pool.
func applied(ctx context.Context, db *sql.DB) ([]Migration, error) {
	rows, err := db.QueryContext(ctx, listMigrations)
	return collect(rows, err, func(row scanner) (m Migration, err error) {
		err = row.Scan(&m.Version, &m.Name, &m.SHA256, (*millis)(&m.AppliedAt))
		return m, err
	})
}

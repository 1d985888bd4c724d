package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/claudemesh/broker/core/store/migrate"
)

// Migration is one file of SQL that was applied to this store.
type Migration = migrate.Migration

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

// PendingMigrations returns nothing: Open has applied everything.
func (*Store) PendingMigrations(context.Context) ([]Migration, error) { return nil, nil }

// Up does nothing: Open has applied everything.
func (*Store) Up(context.Context) error { return nil }

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
	ours, err := migrate.Embedded(s.files)
	if err != nil {
		return err
	}
	theirs, err := applied(ctx, s.write)
	if err != nil {
		return err
	}
	pending, err := migrate.Pending(ours, theirs)
	if err != nil || len(pending) == 0 {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, s.write, s.files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return err
	}
	return s.record(ctx, pending)
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

// applied reads the list from either pool.
func applied(ctx context.Context, db *sql.DB) ([]Migration, error) {
	rows, err := db.QueryContext(ctx, listMigrations)
	return collect(rows, err, func(row scanner) (m Migration, err error) {
		err = row.Scan(&m.Version, &m.Name, &m.SHA256, (*millis)(&m.AppliedAt))
		return m, err
	})
}

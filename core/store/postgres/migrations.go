package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/migrate"
)

// Goose counts versions in its own table; this one remembers what the files
// said.
const createMigrationFile = `
CREATE TABLE IF NOT EXISTS broker.migration_file (
    version    bigint      PRIMARY KEY,
    name       text        NOT NULL,
    sha256     text        NOT NULL,
    applied_at timestamptz NOT NULL
)`

const (
	createSchema    = `CREATE SCHEMA IF NOT EXISTS broker`
	everMigrated    = `SELECT to_regclass('broker.migration_file') IS NOT NULL`
	listMigrations  = `SELECT version, name, sha256, applied_at FROM broker.migration_file ORDER BY version`
	recordMigration = `INSERT INTO broker.migration_file (version, name, sha256, applied_at) VALUES ($1, $2, $3, $4)`
)

// migrationLock is the name of the lock under which migrations are applied.
const migrationLock = "migrate"

// lockPoll is how often a process that waits for the lock tries to take it.
const lockPoll = 100 * time.Millisecond

// Migrations returns what was applied to the database, oldest first. It reads
// the database each time: another program may have migrated it meanwhile.
func (s *Store) Migrations(ctx context.Context) (list []Migration, err error) {
	defer wrap(&err, "list migrations")
	if begun, err := one(ctx, s, value[bool], everMigrated); err != nil || !begun {
		return nil, err
	}
	return all(ctx, s, scanMigration, listMigrations)
}

// PendingMigrations returns what the database has yet to apply, oldest first.
// It fails when what it applied is not how this program's list begins.
func (s *Store) PendingMigrations(ctx context.Context) (list []Migration, err error) {
	ours, err := migrate.Embedded(s.files)
	if err != nil {
		return nil, err
	}
	theirs, err := s.Migrations(ctx)
	if err != nil {
		return nil, err
	}
	return migrate.Pending(ours, theirs)
}

// Up applies what is pending. Of several processes one does, and the others
// wait for it, at most as long as the options say.
func (s *Store) Up(ctx context.Context) (err error) {
	defer wrap(&err, "migrate")
	if list, err := s.PendingMigrations(ctx); err != nil || len(list) == 0 {
		return err
	}
	unlock, err := s.lockMigrations(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	list, err := s.PendingMigrations(ctx)
	if err != nil || len(list) == 0 {
		return err
	}
	return s.apply(ctx, list)
}

// lockMigrations waits for the lock.
func (s *Store) lockMigrations(ctx context.Context) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.MigrateTimeout)
	defer cancel()
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for {
		unlock, ok, err := s.TryLock(ctx, migrationLock)
		if ok || err != nil {
			return unlock, err
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return nil, s.stillLocked(context.WithoutCancel(ctx))
		}
	}
}

// stillLocked says who holds the lock and what to do about it.
func (s *Store) stillLocked(ctx context.Context) error {
	who, err := s.lockHolder(ctx, migrationLock)
	if err != nil {
		who = "another process"
	}
	return fmt.Errorf("%w: %s has been migrating this database for more than %v: wait for it and start again, "+
		"or, if it hangs, end it with pg_terminate_backend", store.ErrUnavailable, who, s.o.MigrateTimeout)
}

// apply runs the files on a connection without timeouts, and remembers them.
func (s *Store) apply(ctx context.Context, list []Migration) error {
	config := s.pool.Config().ConnConfig
	config.RuntimeParams["statement_timeout"] = "0"
	config.RuntimeParams["idle_in_transaction_session_timeout"] = "0"
	db := stdlib.OpenDB(*config)
	return errors.Join(up(ctx, s, db, list), db.Close())
}

func up(ctx context.Context, s *Store, db *sql.DB, list []Migration) error {
	for _, query := range []string{createSchema, createMigrationFile} {
		if _, err := db.ExecContext(ctx, query); err != nil {
			return err
		}
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, s.files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return err
	}
	if err := s.record(ctx, list); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "migrations applied", slog.Int("count", len(list)), slog.String("newest", list[len(list)-1].Name))
	return nil
}

// record remembers files after goose has applied them. A process that ends in
// between leaves goose's count ahead of our table; the next Up comes here again,
// because goose then has nothing to do.
func (s *Store) record(ctx context.Context, list []Migration) error {
	now := whole(time.Now())
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		for _, m := range list {
			if _, err := tx.Exec(ctx, recordMigration, m.Version, m.Name, m.SHA256, now); err != nil {
				return err
			}
		}
		return nil
	})
}

func scanMigration(row scanner) (m Migration, err error) {
	err = row.Scan(&m.Version, &m.Name, &m.SHA256, (*stamp)(&m.AppliedAt))
	return m, err
}

// Package backend opens what a config selects beside the broker itself: its
// store, and its place among the brokers that share one.
package backend

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/migrate"
	"github.com/claudemesh/broker/core/store/postgres"
	"github.com/claudemesh/broker/core/store/sqlite"
)

// StoreName is the embedded store's file in the data directory.
const StoreName = "broker.db"

// Database is a store with its migrations.
type Database interface {
	store.Store
	Migrations(ctx context.Context) ([]migrate.Migration, error)
	PendingMigrations(ctx context.Context) ([]migrate.Migration, error)
	Up(ctx context.Context) error
}

// OpenStore opens the store that a config selects. The embedded one is made when
// there is none; its directory has to be there.
func OpenStore(ctx context.Context, c config.Config, log *slog.Logger) (Database, error) {
	if c.Store.Engine() == "postgres" {
		return openPostgres(ctx, c.Store, log)
	}
	return sqlite.Open(ctx, sqlite.Options{
		Path: filepath.Join(c.DataDir, StoreName), Durability: sqlite.Durability(c.Store.Durability),
	})
}

func openPostgres(ctx context.Context, s config.Store, log *slog.Logger) (Database, error) {
	st, err := postgres.Open(ctx, postgres.Options{
		URL: s.URL.Reveal(), MaxConns: int32(s.Pool), //nolint:gosec // at most 1000
		ConnectTimeout: s.ConnectTimeout, StatementTimeout: s.StatementTimeout, LockTimeout: s.LockTimeout,
		Durability: postgres.Durability(s.Durability), Migrate: s.Migrate, MigrateTimeout: s.MigrateTimeout, Log: log,
	})
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL (DATABASE_URL, store.url): %w", err)
	}
	return st, nil
}

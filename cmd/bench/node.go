package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/claudemesh/broker/core/bus"
	"github.com/claudemesh/broker/core/bus/local"
	"github.com/claudemesh/broker/core/bus/nats"
	buspg "github.com/claudemesh/broker/core/bus/postgres"
	"github.com/claudemesh/broker/core/cluster"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/postgres"
	"github.com/claudemesh/broker/core/store/sqlite"
)

// openStore opens the store that a config selects, as the broker does.
func openStore(ctx context.Context, c config.Config, log *slog.Logger) (store.Store, error) {
	s := c.Store
	if s.Engine() != postgresStore {
		return sqlite.Open(ctx, sqlite.Options{
			Path: filepath.Join(c.DataDir, "broker.db"), Durability: sqlite.Durability(s.Durability),
		})
	}
	return postgres.Open(ctx, postgres.Options{
		URL: s.URL.Reveal(), MaxConns: int32(s.Pool), //nolint:gosec // at most 1000
		ConnectTimeout: s.ConnectTimeout, StatementTimeout: s.StatementTimeout, LockTimeout: s.LockTimeout,
		Durability: postgres.Durability(s.Durability), Migrate: s.Migrate, MigrateTimeout: s.MigrateTimeout, Log: log,
	})
}

// joinCluster makes this process a node of those that share its store; node is
// nil for a store of one process. Call leave when the node has ended.
func joinCluster(ctx context.Context, c config.Config, st store.Store, log *slog.Logger) (node *cluster.Node, leave func() error, err error) {
	shared, ok := st.(store.Shared)
	if !ok {
		return nil, func() error { return nil }, nil
	}
	b, err := openBus(ctx, c, log)
	if err != nil {
		return nil, nil, err
	}
	leave = func() error { //nolint:contextcheck // the bus is closed when ctx is over
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		return b.Close(ctx)
	}
	node, err = cluster.Join(ctx, cluster.Options{
		Store: shared, Bus: b, Host: fmt.Sprintf("bench:%d", os.Getpid()), Version: "bench", Lease: c.Store.Lease, Log: log,
	})
	if err != nil {
		return nil, nil, errors.Join(err, leave())
	}
	return node, leave, nil
}

func openBus(ctx context.Context, c config.Config, log *slog.Logger) (bus.Bus, error) {
	switch c.BusKind() {
	case config.BusPostgres:
		return buspg.New(ctx, buspg.Options{URL: c.Store.URL.Reveal(), Channel: c.Bus.Prefix, Log: log})
	case config.BusNATS:
		return nats.New(ctx, nats.Options{URLs: c.Bus.NATS.URLs, Prefix: c.Bus.Prefix, Log: log})
	default:
		return local.New(), nil
	}
}

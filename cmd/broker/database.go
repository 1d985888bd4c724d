package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/backend"
	"github.com/claudemesh/broker/core/cluster"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/migrate"
	"github.com/claudemesh/broker/sdk"
)

// whereToLook is what an operator does whose command found nothing that a broker
// has used.
const whereToLook = "say --data-dir or --config as for broker serve; broker serve and broker mesh create make a new store"

// openStore opens the store that a config selects. The embedded one is made,
// with its directory, when there is none and create is set.
func openStore(ctx context.Context, c config.Config, create bool, log *slog.Logger) (backend.Database, error) {
	if create {
		if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
			return nil, fmt.Errorf("data_dir: %w", err)
		}
	}
	if !create && c.Store.Engine() == "sqlite" {
		_, err := os.Stat(filepath.Join(c.DataDir, backend.StoreName))
		switch {
		case errors.Is(err, os.ErrNotExist):
			return nil, core.Refuse(sdk.ReasonNotFound, "there is no store in "+c.DataDir+": "+whereToLook)
		case err != nil:
			return nil, err
		}
	}
	return backend.OpenStore(ctx, c, log)
}

// leave gives back the registration of a node that never ran; nil is none.
func leave(ctx context.Context, n *cluster.Node) error {
	if n == nil {
		return nil
	}
	return n.Leave(ctx)
}

// openForCommand opens the store for a command. On PostgreSQL, brokers of another
// release may be at work: a command migrates only a database that is empty, and
// only when it may be the first to use it.
func openForCommand(ctx context.Context, c config.Config, why purpose) (_ backend.Database, err error) {
	c.Store.Migrate = false
	st, err := openStore(ctx, c, why == toMake || why == toMigrate, slog.New(slog.DiscardHandler))
	if err != nil || why == toMigrate || why == toList {
		return st, err
	}
	pending, err := st.PendingMigrations(ctx)
	if err == nil && len(pending) > 0 {
		err = firstUse(ctx, st, why, pending[0])
	}
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return st, nil
}

// firstUse makes the tables of an empty database.
func firstUse(ctx context.Context, st backend.Database, why purpose, first migrate.Migration) error {
	applied, err := st.Migrations(ctx)
	switch {
	case err != nil:
		return err
	case len(applied) > 0:
		return core.Refuse("migration_missing", "the database has yet to apply "+first.Name+
			": start the new broker, or say broker migrate up")
	case why != toMake:
		return core.Refuse(sdk.ReasonNotFound, "the database is empty: "+whereToLook)
	}
	return st.Up(ctx)
}

// tellNodes returns what has running brokers end the sessions of a revoked
// member, when the command works on a store that brokers elsewhere share.
func tellNodes(ctx context.Context, st backend.Database) func(memberID string) {
	shared, ok := st.(store.Shared)
	if !ok {
		return nil
	}
	return func(memberID string) {
		payload, err := json.Marshal(memberID)
		if err == nil {
			err = shared.Signal(ctx, &store.Signal{Kind: store.SignalRevoked, Payload: payload})
		}
		if err != nil {
			slog.Error("running brokers were not told: revoke the member again", slog.Any("err", err))
		}
	}
}

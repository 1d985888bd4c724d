package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/claudemesh/broker/core/meshsql"
)

// dropSQLEvery is how often the databases of deleted meshes are looked for. Nobody
// reaches them any more: it is a matter of room.
const dropSQLEvery = 10 * time.Minute

// dropSQL deletes the databases of deleted meshes, until ctx ends. Every node does,
// each under the lock of a mesh's database; that there is none any more is quickly
// seen.
func (a *App) dropSQL(ctx context.Context) {
	if a.options.SQL == nil {
		return
	}
	dropped := map[string]int{} // how often by this process: a statement that waited may make it once more
	tick := time.NewTicker(dropSQLEvery)
	defer tick.Stop()
	for {
		a.dropDeleted(ctx, dropped)
		select {
		case <-ctx.Done():
			return
		case <-a.archived:
		case <-tick.C:
		}
	}
}

// dropDeleted looks once. What the end of ctx cuts off is not tried again, and
// not logged.
func (a *App) dropDeleted(ctx context.Context, dropped map[string]int) {
	ids, err := a.options.Store.ArchivedMeshes(ctx)
	if err != nil && ctx.Err() == nil {
		a.log.Warn("deleted meshes cannot be listed; it is tried again", slog.Any("err", err))
	}
	for _, id := range ids {
		if dropped[id] > 1 {
			continue
		}
		err := a.options.SQL.Drop(ctx, id)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			dropped[id]++
		} else if e := meshsql.Refused(err); e == nil || e.Kind != meshsql.Busy {
			a.log.Warn("the database of a deleted mesh stays; it is tried again", slog.String("mesh", id), slog.Any("err", err))
		}
	}
}

func (a *App) closeSQL() error {
	if a.options.SQL == nil {
		return nil
	}
	return a.options.SQL.Close()
}

package app

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

// rereadEvery is how often a mesh is read again that has changed and could not
// be read.
const rereadEvery = time.Second

// unread are meshes that have changed and could not be read yet: whether their
// sessions have to end is not known.
type unread struct {
	mu  sync.Mutex
	ids map[string]struct{}
}

func (u *unread) add(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ids == nil {
		u.ids = map[string]struct{}{}
	}
	u.ids[id] = struct{}{}
}

// take empties the set.
func (u *unread) take() map[string]struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	ids := u.ids
	u.ids = nil
	return ids
}

// meshChanged forgets a mesh on this node, and ends its sessions if it was
// archived. A mesh that cannot be read now is read later.
func (a *App) meshChanged(meshID string) { a.readMesh(context.Background(), meshID) }

func (a *App) readMesh(ctx context.Context, meshID string) {
	a.roster.ForgetMesh(meshID)
	m, err := a.roster.Mesh(ctx, meshID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return
	case err != nil:
		a.log.Warn("a mesh that has changed cannot be read; it is tried again", slog.String("mesh", meshID), slog.Any("err", err))
		a.unread.add(meshID)
	default:
		a.endArchived(m)
	}
}

// reread reads meshes again that could not be read, until ctx ends.
func (a *App) reread(ctx context.Context) {
	tick := time.NewTicker(rereadEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for id := range a.unread.take() {
			a.readMesh(ctx, id)
		}
	}
}

// endArchived ends the sessions of a mesh on this node, if it was archived.
func (a *App) endArchived(m *store.Mesh) {
	if m.ArchivedAt.IsZero() {
		return
	}
	select {
	case a.archived <- struct{}{}:
	default:
	}
	for _, s := range a.dir.Find(m.ID, func(presence.View) bool { return true }) {
		if !s.Elsewhere() {
			a.End(s, int(wire.CloseArchived.Code), wire.CloseArchived.Reason)
		}
	}
}

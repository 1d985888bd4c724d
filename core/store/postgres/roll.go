package postgres

import (
	"context"

	"github.com/claudemesh/broker/core/store"
)

const presenceColumns = `id, mesh_id, member_id, session_key, session_id, display_name, role, pid, cwd, connected_at,
	disconnected_at, node, version, details`

const (
	openPresences = `SELECT id, version FROM presence WHERE disconnected_at IS NULL`
	presencesByID = `SELECT ` + presenceColumns + ` FROM presence WHERE id = ANY ($1)`
)

// OpenPresences implements [store.Roll].
func (s *Store) OpenPresences(ctx context.Context) (open map[string]int64, err error) {
	defer wrap(&err, "open presences")
	open = make(map[string]int64)
	_, err = all(ctx, s, func(row scanner) (none struct{}, err error) {
		var (
			id      string
			version int64
		)
		err = row.Scan(&id, &version)
		open[id] = version
		return none, err
	}, openPresences)
	if err != nil {
		return nil, err
	}
	return open, nil
}

// PresencesByID implements [store.Roll].
func (s *Store) PresencesByID(ctx context.Context, ids []string) (list []*store.Presence, err error) {
	defer wrap(&err, "read presences")
	if len(ids) == 0 {
		return nil, nil
	}
	return all(ctx, s, scanPresence, presencesByID, ids)
}

func scanPresence(row scanner) (*store.Presence, error) {
	p := new(store.Presence)
	err := row.Scan(&p.ID, &p.MeshID, &p.MemberID, (*key)(&p.SessionKey), &p.SessionID, &p.DisplayName, &p.Role, &p.Pid,
		&p.Cwd, (*stamp)(&p.ConnectedAt), (*stamp)(&p.DisconnectedAt), &p.Node, &p.Version, (*opaqueText)(&p.Details))
	if err != nil {
		return nil, err
	}
	return p, nil
}

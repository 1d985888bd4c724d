package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/claudemesh/broker/core/store"
)

const (
	listInvites = `SELECT ` + inviteColumns + ` FROM invite WHERE mesh_id = ? ORDER BY created_at DESC, id DESC LIMIT ?`

	revokeInvite = `UPDATE invite SET revoked_at = ? WHERE id = ? AND mesh_id = ? AND revoked_at IS NULL`
)

// ListInvites implements [store.Invites].
func (s *Store) ListInvites(ctx context.Context, mesh string, limit int) (list []*store.Invite, err error) {
	defer wrap(&err, "list invites")
	rows, err := s.read.QueryContext(ctx, listInvites, mesh, limit)
	return collect(rows, err, scanInvite)
}

// RevokeInvite implements [store.Invites].
func (s *Store) RevokeInvite(ctx context.Context, mesh, id string, at time.Time) (err error) {
	defer wrap(&err, "revoke invite")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return changed(tx.ExecContext(ctx, revokeInvite, at.UnixMilli(), id, mesh))
	})
}

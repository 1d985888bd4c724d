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

	// When an invite was last used was not always noted.
	pruneInvites = `DELETE FROM invite WHERE expires_at < ?1 OR revoked_at < ?1
		OR used_count >= max_uses AND coalesce(used_at, created_at) < ?1`
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

// PruneInvites implements [store.Invites].
func (s *Store) PruneInvites(ctx context.Context, before time.Time) (n int64, err error) {
	defer wrap(&err, "prune invites")
	return s.exec(ctx, pruneInvites, before.UnixMilli())
}

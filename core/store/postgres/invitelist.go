package postgres

import (
	"context"
	"time"

	"github.com/claudemesh/broker/core/store"
)

const (
	listInvites = `SELECT ` + inviteColumns + ` FROM invite WHERE mesh_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2`

	revokeInvite = `UPDATE invite SET revoked_at = $3 WHERE id = $1 AND mesh_id = $2 AND revoked_at IS NULL`

	// When an invite was last used was not always noted.
	pruneInvites = `DELETE FROM invite WHERE expires_at < $1 OR revoked_at < $1
		OR used_count >= max_uses AND coalesce(used_at, created_at) < $1`
)

// ListInvites implements [store.Invites].
func (s *Store) ListInvites(ctx context.Context, mesh string, limit int) (list []*store.Invite, err error) {
	defer wrap(&err, "list invites")
	return all(ctx, s, scanInvite, listInvites, mesh, limit)
}

// RevokeInvite implements [store.Invites].
func (s *Store) RevokeInvite(ctx context.Context, mesh, id string, at time.Time) (err error) {
	defer wrap(&err, "revoke invite")
	return changed(s.exec(ctx, revokeInvite, id, mesh, whole(at)))
}

// PruneInvites implements [store.Invites].
func (s *Store) PruneInvites(ctx context.Context, before time.Time) (n int64, err error) {
	defer wrap(&err, "prune invites")
	return s.exec(ctx, pruneInvites, whole(before))
}

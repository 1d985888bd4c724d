package postgres

import (
	"context"
	"time"

	"github.com/claudemesh/broker/core/store"
)

const (
	listInvites = `SELECT ` + inviteColumns + ` FROM invite WHERE mesh_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2`

	revokeInvite = `UPDATE invite SET revoked_at = $3 WHERE id = $1 AND mesh_id = $2 AND revoked_at IS NULL`
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

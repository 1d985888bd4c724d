package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
)

const (
	allMeshes    = `SELECT ` + meshColumns + ` FROM mesh ORDER BY created_at, id`
	plainInvites = `SELECT ` + inviteColumns + ` FROM invite
		WHERE sealed_token = '' AND id > $1 AND token NOT LIKE 'sha256:%' ORDER BY id LIMIT $2`

	// The second argument is the MD5 of the token: see inviteByToken.
	sealInvite = `UPDATE invite SET sealed_token = $3,
		token = CASE WHEN EXISTS (SELECT FROM invite WHERE md5(token) = md5($4::text)) THEN $5::text ELSE $4::text END
		WHERE id = $1 AND md5(token) = $2::text`
)

// AllMeshes implements [store.Sealing].
func (s *Store) AllMeshes(ctx context.Context) (list []*store.Mesh, err error) {
	defer wrap(&err, "list all meshes")
	return all(ctx, s, scanMesh, allMeshes)
}

// PlainInvites implements [store.Sealing].
func (s *Store) PlainInvites(ctx context.Context, after string, limit int) (list []*store.Invite, err error) {
	defer wrap(&err, "list plain invites")
	return all(ctx, s, scanInvite, plainInvites, after, limit)
}

// SealInvites implements [store.Sealing]. The rows as they were are there until
// the table is vacuumed.
func (s *Store) SealInvites(ctx context.Context, list []*store.Invite) (err error) {
	defer wrap(&err, "seal invites")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		for _, inv := range list {
			_, err := tx.Exec(ctx, sealInvite, inv.ID, shortHash(inv.PlainToken), inv.SealedToken,
				store.TokenColumn(inv.TokenHash), inv.TwinColumn())
			if err != nil {
				return err
			}
		}
		return nil
	})
}

package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
)

const apiKeyColumns = `id, mesh_id, member_id, label, prefix, hash, capabilities, topics, created_at, expires_at,
	last_used_at, revoked_at`

const (
	insertAPIKey = `INSERT INTO api_key (` + apiKeyColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`
	apiKeyByHash = `SELECT ` + apiKeyColumns + ` FROM api_key WHERE hash = $1`

	apiKeysOfMesh   = `SELECT ` + apiKeyColumns + ` FROM api_key WHERE mesh_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2`
	apiKeysOfMember = `SELECT ` + apiKeyColumns + ` FROM api_key WHERE mesh_id = $1 AND member_id = $3
		ORDER BY created_at DESC, id DESC LIMIT $2`
	apiKeysByPrefix = `SELECT ` + apiKeyColumns + ` FROM api_key WHERE id >= $2 AND id < $3 AND mesh_id = $1
		AND ($4 = '' OR member_id = $4) ORDER BY id LIMIT $5`

	// Who creates a key waits for its turn, so that no two are the last that fits.
	apiKeyTurn   = `SELECT pg_advisory_xact_lock($1)`
	countAPIKeys = `SELECT count(*), count(*) FILTER (WHERE member_id = $2) FROM api_key WHERE mesh_id = $1
		AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $3)`
	forgetAPIKeys = `DELETE FROM api_key WHERE id IN (SELECT id FROM api_key WHERE member_id = $1
		AND (revoked_at IS NOT NULL OR expires_at <= $2) ORDER BY created_at DESC, id DESC OFFSET $3)`

	// Who revokes the member waits until the key is there, and ends it too.
	stayLive   = `SELECT id FROM member WHERE id = $1 AND revoked_at IS NULL FOR SHARE`
	endAPIKeys = `UPDATE api_key SET revoked_at = coalesce($2::timestamptz, $3) WHERE member_id = $1 AND revoked_at IS NULL`

	revokeAPIKey = `UPDATE api_key SET revoked_at = coalesce(revoked_at, $3) WHERE mesh_id = $1 AND id = $2`

	// The setting is this transaction's alone: it does not wait for the disk.
	touchAPIKey = `WITH lazily AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
		UPDATE api_key SET last_used_at = $2 FROM lazily WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)`
)

// CreateAPIKey implements [store.APIKeys].
func (s *Store) CreateAPIKey(ctx context.Context, k *store.APIKey, room store.Room, kept int) (err error) {
	defer wrap(&err, "create API key")
	now := whole(k.CreatedAt)
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, apiKeyTurn, lockKey("API keys of "+k.MeshID)); err != nil {
			return err
		}
		if _, err := value[string](tx.QueryRow(ctx, stayLive, k.MemberID)); err != nil {
			return err
		}
		var mesh, member int
		if err := tx.QueryRow(ctx, countAPIKeys, k.MeshID, k.MemberID, now).Scan(&mesh, &member); err != nil {
			return err
		}
		if err := room.Fits(mesh, member); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, forgetAPIKeys, k.MemberID, now, kept); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, insertAPIKey, k.ID, k.MeshID, k.MemberID, k.Label, k.Prefix, k.Hash[:],
			inJSON{&k.Capabilities}, inJSON{texts(k.Topics)}, now, timeArg(k.ExpiresAt), timeArg(k.LastUsedAt), timeArg(k.RevokedAt))
		return err
	})
}

// APIKeyByHash implements [store.APIKeys].
func (s *Store) APIKeyByHash(ctx context.Context, hash [32]byte) (k *store.APIKey, err error) {
	defer wrap(&err, "read API key")
	return one(ctx, s, scanAPIKey, apiKeyByHash, hash[:])
}

// ListAPIKeys implements [store.APIKeys].
func (s *Store) ListAPIKeys(ctx context.Context, mesh, memberID string, limit int) (list []*store.APIKey, err error) {
	defer wrap(&err, "list API keys")
	query, args := apiKeysOfMesh, []any{mesh, limit}
	if memberID != "" {
		query, args = apiKeysOfMember, append(args, memberID)
	}
	return all(ctx, s, scanAPIKey, query, args...)
}

// FindAPIKeys implements [store.APIKeys].
func (s *Store) FindAPIKeys(ctx context.Context, mesh, memberID, idPrefix string, limit int) (list []*store.APIKey, err error) {
	defer wrap(&err, "find API keys")
	return all(ctx, s, scanAPIKey, apiKeysByPrefix, mesh, idPrefix, idPrefix+"\x7f", memberID, limit) // ids are ASCII
}

// RevokeAPIKey implements [store.APIKeys].
func (s *Store) RevokeAPIKey(ctx context.Context, mesh, id string, at time.Time) (err error) {
	defer wrap(&err, "revoke API key")
	return changed(s.exec(ctx, revokeAPIKey, mesh, id, whole(at)))
}

// TouchAPIKey implements [store.APIKeys].
func (s *Store) TouchAPIKey(ctx context.Context, id string, at time.Time) (err error) {
	defer wrap(&err, "touch API key")
	_, err = s.exec(ctx, touchAPIKey, id, whole(at))
	return err
}

func scanAPIKey(row scanner) (*store.APIKey, error) {
	k := new(store.APIKey)
	err := row.Scan(&k.ID, &k.MeshID, &k.MemberID, &k.Label, &k.Prefix, (*hash)(&k.Hash), inJSON{&k.Capabilities}, inJSON{&k.Topics},
		(*stamp)(&k.CreatedAt), (*stamp)(&k.ExpiresAt), (*stamp)(&k.LastUsedAt), (*stamp)(&k.RevokedAt))
	if err != nil {
		return nil, err
	}
	return k, nil
}

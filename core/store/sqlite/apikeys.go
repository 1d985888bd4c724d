package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/claudemesh/broker/core/store"
)

const apiKeyColumns = `id, mesh_id, member_id, label, prefix, hash, capabilities, topics, created_at, expires_at,
	last_used_at, revoked_at`

const (
	insertAPIKey = `INSERT INTO api_key (` + apiKeyColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	apiKeyByHash = `SELECT ` + apiKeyColumns + ` FROM api_key WHERE hash = ?`

	apiKeysOfMesh   = `SELECT ` + apiKeyColumns + ` FROM api_key WHERE mesh_id = ?1 ORDER BY created_at DESC, id DESC LIMIT ?2`
	apiKeysOfMember = `SELECT ` + apiKeyColumns + ` FROM api_key WHERE mesh_id = ?1 AND member_id = ?3
		ORDER BY created_at DESC, id DESC LIMIT ?2`
	apiKeysByPrefix = `SELECT ` + apiKeyColumns + ` FROM api_key WHERE id >= ?2 AND id < ?3 AND mesh_id = ?1
		AND (?4 = '' OR member_id = ?4) ORDER BY id LIMIT ?5`

	countAPIKeys = `SELECT count(*), count(*) FILTER (WHERE member_id = ?2) FROM api_key WHERE mesh_id = ?1
		AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)`
	forgetAPIKeys = `DELETE FROM api_key WHERE id IN (SELECT id FROM api_key WHERE member_id = ?1
		AND (revoked_at IS NOT NULL OR expires_at <= ?2) ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET ?3)`

	isLive     = `SELECT id FROM member WHERE id = ? AND revoked_at IS NULL`
	endAPIKeys = `UPDATE api_key SET revoked_at = coalesce(?2, ?3) WHERE member_id = ?1 AND revoked_at IS NULL`

	revokeAPIKey = `UPDATE api_key SET revoked_at = coalesce(revoked_at, ?3) WHERE mesh_id = ?1 AND id = ?2`
	touchAPIKey  = `UPDATE api_key SET last_used_at = ?1 WHERE id = ?2 AND coalesce(last_used_at, 0) < ?1`
)

// CreateAPIKey implements [store.APIKeys].
func (s *Store) CreateAPIKey(ctx context.Context, k *store.APIKey, room store.Room, kept int) (err error) {
	defer wrap(&err, "create API key")
	now := k.CreatedAt.UnixMilli()
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		var mesh, member int
		if err := tx.QueryRowContext(ctx, isLive, k.MemberID).Scan(new(string)); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, countAPIKeys, k.MeshID, k.MemberID, now).Scan(&mesh, &member); err != nil {
			return err
		}
		if err := room.Fits(mesh, member); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, forgetAPIKeys, k.MemberID, now, kept); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, insertAPIKey, k.ID, k.MeshID, k.MemberID, k.Label, k.Prefix, hashArg(k.Hash),
			inJSON{&k.Capabilities}, texts(k.Topics), now, timeArg(k.ExpiresAt), timeArg(k.LastUsedAt), timeArg(k.RevokedAt))
		return err
	})
}

// APIKeyByHash implements [store.APIKeys].
func (s *Store) APIKeyByHash(ctx context.Context, hash [32]byte) (k *store.APIKey, err error) {
	defer wrap(&err, "read API key")
	return scanAPIKey(s.read.QueryRowContext(ctx, apiKeyByHash, hashArg(hash)))
}

// ListAPIKeys implements [store.APIKeys].
func (s *Store) ListAPIKeys(ctx context.Context, mesh, memberID string, limit int) (list []*store.APIKey, err error) {
	defer wrap(&err, "list API keys")
	query, args := apiKeysOfMesh, []any{mesh, limit}
	if memberID != "" {
		query, args = apiKeysOfMember, append(args, memberID)
	}
	rows, err := s.read.QueryContext(ctx, query, args...)
	return collect(rows, err, scanAPIKey)
}

// FindAPIKeys implements [store.APIKeys].
func (s *Store) FindAPIKeys(ctx context.Context, mesh, memberID, idPrefix string, limit int) (list []*store.APIKey, err error) {
	defer wrap(&err, "find API keys")
	rows, err := s.read.QueryContext(ctx, apiKeysByPrefix, mesh, idPrefix, idPrefix+"\x7f", memberID, limit) // ids are ASCII
	return collect(rows, err, scanAPIKey)
}

// RevokeAPIKey implements [store.APIKeys].
func (s *Store) RevokeAPIKey(ctx context.Context, mesh, id string, at time.Time) (err error) {
	defer wrap(&err, "revoke API key")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return changed(tx.ExecContext(ctx, revokeAPIKey, mesh, id, at.UnixMilli()))
	})
}

// TouchAPIKey implements [store.APIKeys].
func (s *Store) TouchAPIKey(ctx context.Context, id string, at time.Time) (err error) {
	defer wrap(&err, "touch API key")
	return s.updateLazily(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, touchAPIKey, at.UnixMilli(), id)
		return err
	})
}

func scanAPIKey(row scanner) (*store.APIKey, error) {
	k := new(store.APIKey)
	err := row.Scan(&k.ID, &k.MeshID, &k.MemberID, &k.Label, &k.Prefix, (*hash)(&k.Hash), inJSON{&k.Capabilities}, inJSON{&k.Topics},
		(*millis)(&k.CreatedAt), (*millis)(&k.ExpiresAt), (*millis)(&k.LastUsedAt), (*millis)(&k.RevokedAt))
	if err != nil {
		return nil, err
	}
	return k, nil
}

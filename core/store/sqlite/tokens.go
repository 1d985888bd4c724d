package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/claudemesh/broker/core/store"
)

const tokenColumns = `token.id, token.account_id, token.hash, token.kind, token.hostname, token.platform, token.arch,
	token.created_at, token.expires_at, token.last_seen_at, token.revoked_at`

const (
	insertToken = `INSERT INTO token (id, account_id, hash, kind, hostname, platform, arch, created_at, expires_at,
		last_seen_at, revoked_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	tokenByHash = `SELECT ` + tokenColumns + `, ` + accountColumns + `
		FROM token JOIN account ON account.id = token.account_id WHERE token.hash = ?`
	touchToken = `UPDATE token SET last_seen_at = ?1 WHERE id = ?2 AND coalesce(last_seen_at, 0) < ?1`

	goodTokensOf = `SELECT count(*) FROM token WHERE account_id = ? AND revoked_at IS NULL AND expires_at > ?`

	goodTokens = `SELECT ` + tokenColumns + ` FROM token WHERE revoked_at IS NULL AND expires_at > ?`
	listTokens = goodTokens + ` ORDER BY created_at, id`
	tokensOf   = goodTokens + ` AND account_id = ? ORDER BY created_at, id`

	revokeToken = `UPDATE token SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL`

	pruneTokens  = `DELETE FROM token WHERE expires_at < ?1 OR revoked_at < ?1`
	pruneSignIns = `DELETE FROM sign_in WHERE expires_at < ?1`
	pruneCodes   = `DELETE FROM one_time_code WHERE expires_at < ?1`
)

// CreateToken implements [store.Tokens].
func (s *Store) CreateToken(ctx context.Context, t *store.Token) (err error) {
	defer wrap(&err, "create token")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error { return addToken(ctx, tx, t) })
}

// addToken writes a token, unless it is one too many.
func addToken(ctx context.Context, tx *sql.Tx, t *store.Token) error {
	if t.Kind != store.TokenOperator {
		var good int
		if err := tx.QueryRowContext(ctx, goodTokensOf, t.AccountID, t.CreatedAt.UnixMilli()).Scan(&good); err != nil {
			return err
		}
		if good >= store.MaxTokens {
			return store.ErrExhausted
		}
	}
	_, err := tx.ExecContext(ctx, insertToken, t.ID, t.AccountID, hashArg(t.Hash), string(t.Kind), t.Hostname, t.Platform,
		t.Arch, t.CreatedAt.UnixMilli(), t.ExpiresAt.UnixMilli(), timeArg(t.LastSeenAt), timeArg(t.RevokedAt))
	return noAccount(err)
}

// TokenByHash implements [store.Tokens].
func (s *Store) TokenByHash(ctx context.Context, hash [32]byte) (t *store.Token, a *store.Account, err error) {
	defer wrap(&err, "read token")
	a = new(store.Account)
	t, err = scanTokenAnd(s.prepare.tokenByHash.QueryRowContext(ctx, hashArg(hash)), accountFields(a)...)
	if err != nil {
		return nil, nil, err
	}
	return t, a, nil
}

// TouchToken implements [store.Tokens].
func (s *Store) TouchToken(ctx context.Context, id string, at time.Time) (err error) {
	defer wrap(&err, "touch token")
	return s.updateLazily(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, touchToken, at.UnixMilli(), id)
		return err
	})
}

// ListTokens implements [store.Tokens].
func (s *Store) ListTokens(ctx context.Context, account string, now time.Time) (list []*store.Token, err error) {
	defer wrap(&err, "list tokens")
	query, args := listTokens, []any{now.UnixMilli()}
	if account != "" {
		query, args = tokensOf, append(args, account)
	}
	rows, err := s.read.QueryContext(ctx, query, args...)
	return collect(rows, err, func(row scanner) (*store.Token, error) { return scanTokenAnd(row) })
}

// RevokeToken implements [store.Tokens].
func (s *Store) RevokeToken(ctx context.Context, id string, at time.Time) (err error) {
	defer wrap(&err, "revoke token")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return changed(tx.ExecContext(ctx, revokeToken, at.UnixMilli(), id))
	})
}

// PruneTokens implements [store.Tokens].
func (s *Store) PruneTokens(ctx context.Context, before time.Time) (n int64, err error) {
	defer wrap(&err, "prune tokens")
	err = s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, query := range []string{pruneTokens, pruneSignIns, pruneCodes} {
			deleted, err := affected(tx.ExecContext(ctx, query, before.UnixMilli()))
			if err != nil {
				return err
			}
			n += deleted
		}
		return nil
	})
	return n, err
}

// scanTokenAnd reads tokenColumns, and into more what follows them.
func scanTokenAnd(row scanner, more ...any) (*store.Token, error) {
	t := new(store.Token)
	err := row.Scan(append([]any{&t.ID, &t.AccountID, (*hash)(&t.Hash), &t.Kind, &t.Hostname, &t.Platform, &t.Arch,
		(*millis)(&t.CreatedAt), (*millis)(&t.ExpiresAt), (*millis)(&t.LastSeenAt), (*millis)(&t.RevokedAt)}, more...)...)
	if err != nil {
		return nil, err
	}
	return t, nil
}

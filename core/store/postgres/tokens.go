package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
)

const tokenColumns = `token.id, token.account_id, token.hash, token.kind, token.hostname, token.platform, token.arch,
	token.created_at, token.expires_at, token.last_seen_at, token.revoked_at`

const (
	insertToken = `INSERT INTO token (id, account_id, hash, kind, hostname, platform, arch, created_at, expires_at,
		last_seen_at, revoked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`
	tokenByHash = `SELECT ` + tokenColumns + `, ` + accountColumns + `
		FROM token JOIN account ON account.id = token.account_id WHERE token.hash = $1`

	// The setting is this transaction's alone: it does not wait for the disk.
	touchToken = `WITH lazily AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
		UPDATE token SET last_seen_at = $2 FROM lazily WHERE id = $1 AND (last_seen_at IS NULL OR last_seen_at < $2)`

	// One token of an account is written at a time, so that the count is right.
	lockAccount  = `SELECT 1 FROM account WHERE id = $1` + lockRow
	goodTokensOf = `SELECT count(*) FROM token WHERE account_id = $1 AND revoked_at IS NULL AND expires_at > $2`

	goodTokens = `SELECT ` + tokenColumns + ` FROM token WHERE revoked_at IS NULL AND expires_at > $1`
	listTokens = goodTokens + ` ORDER BY created_at, id`
	tokensOf   = goodTokens + ` AND account_id = $2 ORDER BY created_at, id`

	revokeToken = `UPDATE token SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL`

	pruneTokens  = `DELETE FROM token WHERE expires_at < $1 OR revoked_at < $1`
	pruneSignIns = `DELETE FROM sign_in WHERE expires_at < $1`
	pruneCodes   = `DELETE FROM one_time_code WHERE expires_at < $1`
)

// CreateToken implements [store.Tokens].
func (s *Store) CreateToken(ctx context.Context, t *store.Token) (err error) {
	defer wrap(&err, "create token")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error { return addToken(ctx, tx, t) })
}

// addToken writes a token, unless it is one too many.
func addToken(ctx context.Context, tx pgx.Tx, t *store.Token) error {
	if t.Kind != store.TokenOperator {
		if _, err := value[int](tx.QueryRow(ctx, lockAccount, t.AccountID)); err != nil {
			return err // not found, when there is no such account
		}
		good, err := value[int](tx.QueryRow(ctx, goodTokensOf, t.AccountID, whole(t.CreatedAt)))
		switch {
		case err != nil:
			return err
		case good >= store.MaxTokens:
			return store.ErrExhausted
		}
	}
	_, err := tx.Exec(ctx, insertToken, t.ID, t.AccountID, t.Hash[:], string(t.Kind), t.Hostname, t.Platform,
		t.Arch, whole(t.CreatedAt), whole(t.ExpiresAt), timeArg(t.LastSeenAt), timeArg(t.RevokedAt))
	return noAccount(err)
}

// TokenByHash implements [store.Tokens].
func (s *Store) TokenByHash(ctx context.Context, hash [32]byte) (t *store.Token, a *store.Account, err error) {
	defer wrap(&err, "read token")
	a = new(store.Account)
	t, err = one(ctx, s, func(row scanner) (*store.Token, error) { return scanTokenAnd(row, accountFields(a)...) },
		tokenByHash, hash[:])
	if err != nil {
		return nil, nil, err
	}
	return t, a, nil
}

// TouchToken implements [store.Tokens].
func (s *Store) TouchToken(ctx context.Context, id string, at time.Time) (err error) {
	defer wrap(&err, "touch token")
	_, err = s.exec(ctx, touchToken, id, whole(at))
	return err
}

// ListTokens implements [store.Tokens].
func (s *Store) ListTokens(ctx context.Context, account string, now time.Time) (list []*store.Token, err error) {
	defer wrap(&err, "list tokens")
	query, args := listTokens, []any{whole(now)}
	if account != "" {
		query, args = tokensOf, append(args, account)
	}
	return all(ctx, s, func(row scanner) (*store.Token, error) { return scanTokenAnd(row) }, query, args...)
}

// RevokeToken implements [store.Tokens].
func (s *Store) RevokeToken(ctx context.Context, id string, at time.Time) (err error) {
	defer wrap(&err, "revoke token")
	return changed(s.exec(ctx, revokeToken, id, whole(at)))
}

// PruneTokens implements [store.Tokens].
func (s *Store) PruneTokens(ctx context.Context, before time.Time) (n int64, err error) {
	defer wrap(&err, "prune tokens")
	err = s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		n = 0
		for _, query := range []string{pruneTokens, pruneSignIns, pruneCodes} {
			deleted, err := tx.Exec(ctx, query, whole(before))
			if err != nil {
				return err
			}
			n += deleted.RowsAffected()
		}
		return nil
	})
	return n, err
}

// scanTokenAnd reads tokenColumns, and into more what follows them.
func scanTokenAnd(row scanner, more ...any) (*store.Token, error) {
	t := new(store.Token)
	err := row.Scan(append([]any{&t.ID, &t.AccountID, (*hash)(&t.Hash), &t.Kind, &t.Hostname, &t.Platform, &t.Arch,
		(*stamp)(&t.CreatedAt), (*stamp)(&t.ExpiresAt), (*stamp)(&t.LastSeenAt), (*stamp)(&t.RevokedAt)}, more...)...)
	if err != nil {
		return nil, err
	}
	return t, nil
}

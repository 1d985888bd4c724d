package sqlite

import (
	"context"
	"database/sql"
	"time"
)

const (
	useToken = `INSERT INTO used_token (token, until) VALUES (?, ?) ON CONFLICT DO NOTHING`

	// More than one, so that those which may be forgotten get fewer, and not so
	// many that anybody waits for long.
	forgetTokens = `DELETE FROM used_token WHERE token IN (
		SELECT token FROM used_token WHERE until < ? ORDER BY until LIMIT 16)`
)

// UseOnce implements [store.SignIns]. Each call also deletes some of what may
// be forgotten.
func (s *Store) UseOnce(ctx context.Context, token [32]byte, until time.Time) (fresh bool, err error) {
	defer wrap(&err, "use token")
	err = s.updateLazily(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, forgetTokens, time.Now().UnixMilli()); err != nil {
			return err
		}
		n, err := affected(tx.ExecContext(ctx, useToken, hashArg(token), until.UnixMilli()))
		fresh = n == 1
		return err
	})
	return fresh, err
}

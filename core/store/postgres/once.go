package postgres

import (
	"context"
	"log/slog"
	"time"
)

const (
	useToken = `INSERT INTO used_token (token, until) VALUES ($1, $2) ON CONFLICT DO NOTHING`

	// As many as a minute of busy connects brings; more are left for the next
	// time, so that nobody waits for long.
	forgetTokens = `DELETE FROM used_token WHERE ctid = ANY (ARRAY (SELECT ctid FROM used_token
		WHERE until < clock_timestamp() ORDER BY until LIMIT 10000 FOR UPDATE SKIP LOCKED))`
)

// forgetEvery is how often a process deletes tokens that may be forgotten.
const forgetEvery = time.Minute

// UseOnce implements [store.SignIns]. The table is unlogged: nothing waits for
// the disk, and a crash of the database empties it. Once in a while a call also
// deletes what may be forgotten.
func (s *Store) UseOnce(ctx context.Context, token [32]byte, until time.Time) (fresh bool, err error) {
	defer wrap(&err, "use token")
	n, err := s.exec(ctx, useToken, token[:], until)
	if err != nil {
		return false, err
	}
	now := time.Now().UnixNano()
	if due := s.forgetAt.Load(); now >= due && s.forgetAt.CompareAndSwap(due, now+int64(forgetEvery)) {
		if _, err := s.exec(ctx, forgetTokens); err != nil {
			s.log.WarnContext(ctx, "old tokens are not deleted", slog.Any("err", err))
		}
	}
	return n == 1, nil
}

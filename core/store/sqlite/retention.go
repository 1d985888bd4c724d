package sqlite

import (
	"context"
	"database/sql"
	"time"
)

const (
	expire = `UPDATE delivery SET expired_at = ?1 WHERE (seq, recipient) IN (
		SELECT d.seq, d.recipient FROM delivery d WHERE ` + waits + ` AND d.expires_at <= ?1
		ORDER BY d.expires_at LIMIT ?2)`

	// The oldest messages before ?1 that nobody waits for.
	prunable = `SELECT m.seq FROM message m WHERE m.seq < ?1
		AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.seq = m.seq AND ` + waits + `)
		ORDER BY m.seq LIMIT ?2`

	pruneDeliveries = `DELETE FROM delivery WHERE seq IN (` + prunable + `)`
	pruneMessages   = `DELETE FROM message WHERE seq IN (` + prunable + `)`
	pruneSent       = `DELETE FROM sent WHERE seq IN (SELECT seq FROM sent WHERE seq < ?1 ORDER BY seq LIMIT ?2)`
	setQueueMark    = `UPDATE queue_mark SET last_seq = (` + lastSeq + `)`
)

// Expire implements [store.Queue].
func (s *Store) Expire(ctx context.Context, now time.Time, limit int) (n int64, err error) {
	defer wrap(&err, "queue expire")
	return s.count(ctx, expire, now.UnixMilli(), max(limit, 0))
}

// PruneQueue implements [store.Queue].
func (s *Store) PruneQueue(ctx context.Context, t time.Time, limit int) (n int64, err error) {
	defer wrap(&err, "queue prune")
	err = s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, setQueueMark); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, pruneDeliveries, t.UnixMicro(), max(limit, 0)); err != nil {
			return err
		}
		for _, query := range []string{pruneMessages, pruneSent} {
			r, err := tx.ExecContext(ctx, query, t.UnixMicro(), max(limit, 0))
			if err != nil {
				return err
			}
			deleted, err := r.RowsAffected()
			if err != nil {
				return err
			}
			n += deleted
		}
		return nil
	})
	return n, err
}

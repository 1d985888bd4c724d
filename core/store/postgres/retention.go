package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
)

const (
	// Rows that a commit is about to settle are passed by.
	expire = `WITH old AS MATERIALIZED (
			SELECT d.seq, d.recipient FROM delivery d WHERE ` + waitsAnywhere + ` AND d.expires_at <= $1
			ORDER BY d.expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)
		UPDATE delivery d SET expired_at = $1 FROM old WHERE d.seq = old.seq AND d.recipient = old.recipient AND ` + waits

	setQueueMark = `UPDATE queue_mark SET last_seq = (` + lastSeq + `)`

	// The oldest messages before $1 that nobody waits for, with their deliveries.
	// The test of what is held is not EXISTS, for the reason that is told at kept.
	pruneMessages = `WITH old AS MATERIALIZED (
			SELECT m.seq FROM message m WHERE m.seq < $1
			AND NOT EXISTS (SELECT FROM delivery d WHERE d.seq = m.seq AND ` + waits + `)
			AND (SELECT h.seq FROM held_delivery h WHERE h.seq = m.seq LIMIT 1) IS NULL
			ORDER BY m.seq LIMIT $2),
		claims AS (DELETE FROM delivery WHERE seq = ANY (ARRAY (SELECT seq FROM old)))
		DELETE FROM message WHERE seq = ANY (ARRAY (SELECT seq FROM old))`

	pruneSent = `DELETE FROM sent WHERE seq = ANY (ARRAY (SELECT seq FROM sent WHERE seq < $1 ORDER BY seq LIMIT $2))`
)

// Expire implements [store.Queue].
func (s *Store) Expire(ctx context.Context, now time.Time, limit int) (n int64, err error) {
	defer wrap(&err, "queue expire")
	return s.exec(ctx, expire, whole(now), max(limit, 0))
}

// PruneQueue implements [store.Queue]. It returns the number of all rows that
// went, messages and memories of sends: fewer than limit means that nothing old
// is left of either.
func (s *Store) PruneQueue(ctx context.Context, t time.Time, limit int) (n int64, err error) {
	defer wrap(&err, "queue prune")
	err = s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		n = 0
		if _, err := tx.Exec(ctx, setQueueMark); err != nil {
			return err
		}
		for _, query := range []string{pruneMessages, pruneSent} {
			deleted, err := tx.Exec(ctx, query, store.SeqAt(t), max(limit, 0))
			if err != nil {
				return err
			}
			n += deleted.RowsAffected()
		}
		return nil
	})
	return n, err
}

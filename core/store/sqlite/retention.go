package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/claudemesh/broker/core/store"
)

const (
	// An index by expires_at would cost a sixth of the time of every commit.
	// This walks the index of what waits, which holds expires_at too.
	expired = `SELECT d.seq, d.recipient FROM delivery d WHERE ` + waits + ` AND d.expires_at <= ? LIMIT ?`
	expire  = `UPDATE delivery AS d SET expired_at = ? WHERE d.seq = ? AND d.recipient = ? AND ` + waits

	// The oldest messages before ?1 that nobody waits for.
	prunable = `SELECT m.seq FROM message m WHERE m.seq < ?1
		AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.seq = m.seq AND ` + waits + `)
		AND NOT EXISTS (SELECT 1 FROM held_delivery h WHERE h.seq = m.seq)
		ORDER BY m.seq LIMIT ?2`

	pruneDeliveries = `DELETE FROM delivery WHERE seq IN (` + prunable + `)`
	pruneMessages   = `DELETE FROM message WHERE seq IN (` + prunable + `)`
	pruneSent       = `DELETE FROM sent WHERE seq IN (SELECT seq FROM sent WHERE seq < ?1 ORDER BY seq LIMIT ?2)`
	setQueueMark    = `UPDATE queue_mark SET last_seq = (` + lastSeq + `)`
)

// Expire implements [store.Queue]. It looks for rows on a connection for
// reading, so that commits do not wait while it walks a large backlog.
func (s *Store) Expire(ctx context.Context, now time.Time, limit int) (n int64, err error) {
	defer wrap(&err, "queue expire")
	rows, err := s.read.QueryContext(ctx, expired, now.UnixMilli(), max(limit, 0))
	list, err := collect(rows, err, func(row scanner) (d store.Delivery, err error) {
		err = row.Scan(&d.Seq, (*key)(&d.Recipient))
		return d, err
	})
	if err != nil || len(list) == 0 {
		return 0, err
	}
	err = s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		n, err = expireAll(ctx, tx, list, now)
		return err
	})
	return n, err
}

// expireAll ends what still waits of list.
func expireAll(ctx context.Context, tx *sql.Tx, list []store.Delivery, now time.Time) (n int64, err error) {
	stmt, err := tx.PrepareContext(ctx, expire)
	if err != nil {
		return 0, err
	}
	defer stmt.Close()
	for _, d := range list {
		ended, err := affected(stmt.ExecContext(ctx, now.UnixMilli(), d.Seq, d.Recipient.String()))
		if err != nil {
			return 0, err
		}
		n += ended
	}
	return n, nil
}

// PruneQueue implements [store.Queue]. It returns the number of all rows that
// went, messages and memories of sends: fewer than limit means that nothing old
// is left of either.
func (s *Store) PruneQueue(ctx context.Context, t time.Time, limit int) (n int64, err error) {
	defer wrap(&err, "queue prune")
	err = s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, setQueueMark); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, pruneDeliveries, store.SeqAt(t), max(limit, 0)); err != nil {
			return err
		}
		for _, query := range []string{pruneMessages, pruneSent} {
			deleted, err := affected(tx.ExecContext(ctx, query, store.SeqAt(t), max(limit, 0)))
			if err != nil {
				return err
			}
			n += deleted
		}
		return nil
	})
	return n, err
}

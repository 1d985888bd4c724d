package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/claudemesh/broker/core/store"
)

const (
	nextRelease = `SELECT min(not_before) FROM held_delivery`

	dueNow = `SELECT seq, recipient, mesh_id, priority FROM held_delivery
		WHERE not_before <= ? ORDER BY not_before, seq, recipient LIMIT ?`
	release = `INSERT INTO delivery (seq, recipient, mesh_id, member_id, priority, expires_at)
		SELECT seq, recipient, mesh_id, member_id, priority, expires_at FROM held_delivery
		WHERE seq = ? AND recipient = ? ON CONFLICT DO NOTHING`
	unhold = `DELETE FROM held_delivery WHERE seq = ? AND recipient = ?`
)

// NextRelease implements [store.Holds].
func (s *Store) NextRelease(ctx context.Context) (at time.Time, err error) {
	defer wrap(&err, "next release")
	err = s.read.QueryRowContext(ctx, nextRelease).Scan((*millis)(&at))
	return at, err
}

// held is a delivery on its way out of the table.
type held struct {
	seq int64
	store.Released
}

// Release implements [store.Holds].
func (s *Store) Release(ctx context.Context, now time.Time, limit int) (list []store.Released, err error) {
	defer wrap(&err, "queue release")
	err = s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, dueNow, now.UnixMilli(), max(limit, 0))
		due, err := collect(rows, err, func(row scanner) (h held, err error) {
			err = row.Scan(&h.seq, (*key)(&h.Recipient), &h.Mesh, &h.Priority)
			return h, err
		})
		if err != nil || len(due) == 0 {
			return err
		}
		list = make([]store.Released, len(due))
		for i := range due {
			list[i] = due[i].Released
		}
		return releaseAll(ctx, tx, due)
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// releaseAll moves deliveries to the table of what waits.
func releaseAll(ctx context.Context, tx *sql.Tx, due []held) error {
	for _, query := range []string{release, unhold} {
		stmt, err := tx.PrepareContext(ctx, query)
		if err != nil {
			return err
		}
		defer stmt.Close()
		for _, h := range due {
			if _, err := stmt.ExecContext(ctx, h.seq, h.Recipient.String()); err != nil {
				return err
			}
		}
	}
	return nil
}

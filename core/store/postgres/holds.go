package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
)

const (
	nextRelease = `SELECT min(not_before) FROM held_delivery`

	// Rows that another process releases now are passed by.
	release = `WITH gone AS (
			DELETE FROM held_delivery WHERE ctid = ANY (ARRAY (
				SELECT h.ctid FROM held_delivery h WHERE h.not_before <= $1
				ORDER BY h.not_before, h.seq, h.recipient LIMIT $2 FOR UPDATE SKIP LOCKED))
			RETURNING seq, recipient, mesh_id, member_id, priority, expires_at)
		INSERT INTO delivery (seq, recipient, mesh_id, member_id, priority, expires_at) SELECT * FROM gone
		ON CONFLICT DO NOTHING RETURNING mesh_id, recipient, priority`
)

// NextRelease implements [store.Holds].
func (s *Store) NextRelease(ctx context.Context) (at time.Time, err error) {
	defer wrap(&err, "next release")
	return one(ctx, s, func(row scanner) (at time.Time, err error) {
		err = row.Scan((*stamp)(&at))
		return at, err
	}, nextRelease)
}

// Release implements [store.Holds].
func (s *Store) Release(ctx context.Context, now time.Time, limit int) (list []store.Released, err error) {
	defer wrap(&err, "queue release")
	err = s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, release, whole(now), max(limit, 0))
		list, err = collect(rows, err, func(row scanner) (r store.Released, err error) {
			err = row.Scan(&r.Mesh, (*key)(&r.Recipient), &r.Priority)
			return r, err
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
)

const watchColumns = `id, mesh_id, member_id, request, url, mode, extract, notify_on, headers, label, seconds, created_at, value,
	checked_at, failures, failure, next_at, untold_old, untold_new, untold_at`

const (
	listWatches = `SELECT ` + watchColumns + ` FROM watch WHERE mesh_id = $1 AND member_id = $2 ORDER BY created_at, id`
	dueWatches  = `SELECT ` + watchColumns + ` FROM watch WHERE next_at <= $1 ORDER BY next_at, id LIMIT $2 OFFSET $3`
	sameWatch   = `SELECT id FROM watch WHERE mesh_id = $1 AND member_id = $2 AND request = $3`

	// Who makes a watch waits for its turn, so that no two are the last that fits.
	watchTurn    = `SELECT pg_advisory_xact_lock($1)`
	countWatches = `SELECT count(*), count(*) FILTER (WHERE member_id = $2) FROM watch WHERE mesh_id = $1`

	insertWatch = `INSERT INTO watch (` + watchColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, '', NULL, 0, '', $13, NULL, NULL, NULL)`
	deleteWatch   = `DELETE FROM watch WHERE mesh_id = $1 AND member_id = $2 AND id = $3 RETURNING ` + watchColumns
	setWatchState = `UPDATE watch SET value = $2, checked_at = $3, failures = $4, failure = $5, next_at = $6,
		untold_old = $7, untold_new = $8, untold_at = $9 WHERE id = $1`

	untoldWatches = `SELECT ` + watchColumns + ` FROM watch WHERE untold_at IS NOT NULL AND id > $1 ORDER BY id LIMIT $2`
	watchTold     = `UPDATE watch SET untold_old = NULL, untold_new = NULL, untold_at = NULL WHERE id = $1 AND untold_at = $2`
)

// CreateWatch implements [store.Watches].
func (s *Store) CreateWatch(ctx context.Context, w *store.Watch, room store.Room) (id string, fresh bool, err error) {
	defer wrap(&err, "create watch")
	err = s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		id, fresh = "", false
		if _, err := tx.Exec(ctx, watchTurn, lockKey("watches of "+w.MeshID)); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, sameWatch, w.MeshID, w.MemberID, w.Request[:]).Scan(&id)
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		var mesh, member int
		if err := tx.QueryRow(ctx, countWatches, w.MeshID, w.MemberID).Scan(&mesh, &member); err != nil {
			return err
		}
		if err := room.Fits(mesh, member); err != nil {
			return err
		}
		id, fresh = w.ID, true
		_, err = tx.Exec(ctx, insertWatch, w.ID, w.MeshID, w.MemberID, w.Request[:], w.URL, w.Mode, w.Extract, w.NotifyOn,
			w.Headers, w.Label, int64(w.Every/time.Second), whole(w.CreatedAt), whole(w.NextAt))
		return err
	})
	if err != nil {
		return "", false, err
	}
	return id, fresh, nil
}

// ListWatches implements [store.Watches].
func (s *Store) ListWatches(ctx context.Context, mesh, member string) (list []*store.Watch, err error) {
	defer wrap(&err, "list watches")
	return all(ctx, s, scanWatch, listWatches, mesh, member)
}

// DeleteWatch implements [store.Watches].
func (s *Store) DeleteWatch(ctx context.Context, mesh, member, id string) (w *store.Watch, err error) {
	defer wrap(&err, "delete watch")
	err = s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		w, err = scanWatch(tx.QueryRow(ctx, deleteWatch, mesh, member, id))
		return err
	})
	return w, err
}

// DueWatches implements [store.Watches].
func (s *Store) DueWatches(ctx context.Context, t time.Time, skip, limit int) (list []*store.Watch, err error) {
	defer wrap(&err, "find due watches")
	return all(ctx, s, scanWatch, dueWatches, whole(t), limit, skip)
}

// SetWatchState implements [store.Watches].
func (s *Store) SetWatchState(ctx context.Context, id string, st *store.WatchState) (err error) {
	defer wrap(&err, "set state of watch")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return oneFound(tx.Exec(ctx, setWatchState, id, st.Value, timeArg(st.CheckedAt), st.Failures, st.Failure, whole(st.NextAt),
			textArg(st.Untold.Old), textArg(st.Untold.New), timeArg(st.Untold.At)))
	})
}

// UntoldWatches implements [store.Watches].
func (s *Store) UntoldWatches(ctx context.Context, after string, limit int) (list []*store.Watch, err error) {
	defer wrap(&err, "find untold watches")
	return all(ctx, s, scanWatch, untoldWatches, after, limit)
}

// WatchTold implements [store.Watches].
func (s *Store) WatchTold(ctx context.Context, id string, at time.Time) (err error) {
	defer wrap(&err, "note that a watch was told of")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, watchTold, id, whole(at))
		return err
	})
}

func scanWatch(row scanner) (*store.Watch, error) {
	w, seconds := new(store.Watch), int64(0)
	err := row.Scan(&w.ID, &w.MeshID, &w.MemberID, (*hash)(&w.Request), &w.URL, &w.Mode, &w.Extract, &w.NotifyOn, &w.Headers,
		&w.Label, &seconds, (*stamp)(&w.CreatedAt), &w.Value, (*stamp)(&w.CheckedAt), &w.Failures, &w.Failure, (*stamp)(&w.NextAt),
		(*text)(&w.Untold.Old), (*text)(&w.Untold.New), (*stamp)(&w.Untold.At))
	if err != nil {
		return nil, err
	}
	w.Every = time.Duration(seconds) * time.Second
	return w, nil
}

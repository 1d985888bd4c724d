package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
)

const streamColumns = `id, mesh_id, name, member_id, author, created_at`

const (
	insertStream = `INSERT INTO stream (` + streamColumns + `) VALUES ($1, $2, $3, $4, $5, $6)`
	streamByName = `SELECT id FROM stream WHERE mesh_id = $1 AND name = $2`

	// Who creates a stream waits for its turn, so that no two are the last that
	// fits.
	streamTurn   = `SELECT pg_advisory_xact_lock($1)`
	countStreams = `SELECT count(*), count(*) FILTER (WHERE member_id = $2) FROM stream WHERE mesh_id = $1`
	listStreams  = `SELECT ` + streamColumns + ` FROM stream WHERE mesh_id = $1 ORDER BY created_at, name LIMIT $2`
)

// CreateStream implements [store.Streams].
func (s *Store) CreateStream(ctx context.Context, st *store.Stream, room store.Room) (id string, fresh bool, err error) {
	defer wrap(&err, "create stream")
	err = s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		id, fresh = "", false
		if _, err := tx.Exec(ctx, streamTurn, lockKey("streams of "+st.MeshID)); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, streamByName, st.MeshID, st.Name).Scan(&id); !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		var mesh, member int
		if err := tx.QueryRow(ctx, countStreams, st.MeshID, st.MemberID).Scan(&mesh, &member); err != nil {
			return err
		}
		if err := room.Fits(mesh, member); err != nil {
			return err
		}
		id, fresh = st.ID, true
		_, err := tx.Exec(ctx, insertStream, st.ID, st.MeshID, st.Name, st.MemberID, st.Author, whole(st.CreatedAt))
		return err
	})
	if err != nil {
		return "", false, err
	}
	return id, fresh, nil
}

// ListStreams implements [store.Streams].
func (s *Store) ListStreams(ctx context.Context, mesh string, limit int) (list []*store.Stream, err error) {
	defer wrap(&err, "list streams")
	return all(ctx, s, scanStream, listStreams, mesh, max(limit, 0))
}

func scanStream(row scanner) (*store.Stream, error) {
	st := new(store.Stream)
	if err := row.Scan(&st.ID, &st.MeshID, &st.Name, &st.MemberID, &st.Author, (*stamp)(&st.CreatedAt)); err != nil {
		return nil, err
	}
	return st, nil
}

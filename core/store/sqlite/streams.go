package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/claudemesh/broker/core/store"
)

const streamColumns = `id, mesh_id, name, member_id, author, created_at`

const (
	insertStream = `INSERT INTO stream (` + streamColumns + `) VALUES (?, ?, ?, ?, ?, ?)`
	streamByName = `SELECT id FROM stream WHERE mesh_id = ? AND name = ?`
	countStreams = `SELECT count(*), count(*) FILTER (WHERE member_id = ?2) FROM stream WHERE mesh_id = ?1`
	listStreams  = `SELECT ` + streamColumns + ` FROM stream WHERE mesh_id = ? ORDER BY created_at, name LIMIT ?`
)

// CreateStream implements [store.Streams].
func (s *Store) CreateStream(ctx context.Context, st *store.Stream, room store.Room) (id string, fresh bool, err error) {
	defer wrap(&err, "create stream")
	err = s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, streamByName, st.MeshID, st.Name).Scan(&id)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		var mesh, member int
		if err := tx.QueryRowContext(ctx, countStreams, st.MeshID, st.MemberID).Scan(&mesh, &member); err != nil {
			return err
		}
		if err := room.Fits(mesh, member); err != nil {
			return err
		}
		id, fresh = st.ID, true
		_, err = tx.ExecContext(ctx, insertStream, st.ID, st.MeshID, st.Name, st.MemberID, st.Author, st.CreatedAt.UnixMilli())
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
	rows, err := s.read.QueryContext(ctx, listStreams, mesh, max(limit, 0))
	return collect(rows, err, scanStream)
}

func scanStream(row scanner) (*store.Stream, error) {
	st := new(store.Stream)
	if err := row.Scan(&st.ID, &st.MeshID, &st.Name, &st.MemberID, &st.Author, (*millis)(&st.CreatedAt)); err != nil {
		return nil, err
	}
	return st, nil
}

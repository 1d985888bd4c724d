package sqlite

import (
	"context"
	"database/sql"

	"github.com/claudemesh/broker/core/store"
)

const valueColumns = `mesh_id, key, member_id, author, updated_at, value`

const (
	valueByKey  = `SELECT ` + valueColumns + ` FROM shared_state WHERE mesh_id = ? AND key = ?`
	listValues  = `SELECT ` + valueColumns + ` FROM shared_state WHERE mesh_id = ? AND key > ? ORDER BY key LIMIT ?`
	valueKeys   = `SELECT mesh_id, key, member_id, author, updated_at, '' FROM shared_state WHERE mesh_id = ? ORDER BY key`
	countValues = `SELECT count(*), count(*) FILTER (WHERE member_id = ?2) FROM shared_state WHERE mesh_id = ?1`

	insertValue = `INSERT INTO shared_state (` + valueColumns + `) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	changeValue = `UPDATE shared_state SET member_id = ?3, author = ?4, updated_at = ?5, value = ?6
		WHERE mesh_id = ?1 AND key = ?2 AND member_id = ?7`
	deleteValue = `DELETE FROM shared_state WHERE mesh_id = ? AND key = ? AND member_id = ?`
)

// Value implements [store.Values].
func (s *Store) Value(ctx context.Context, mesh, key string) (v *store.Value, err error) {
	defer wrap(&err, "read value")
	return scanValue(s.read.QueryRowContext(ctx, valueByKey, mesh, key))
}

// ListValues implements [store.Values].
func (s *Store) ListValues(ctx context.Context, mesh, after string, limit int) (list []*store.Value, err error) {
	defer wrap(&err, "list values")
	rows, err := s.read.QueryContext(ctx, listValues, mesh, after, max(limit, 0))
	return collect(rows, err, scanValue)
}

// ValueKeys implements [store.Values].
func (s *Store) ValueKeys(ctx context.Context, mesh string) (list []*store.Value, err error) {
	defer wrap(&err, "list keys of values")
	rows, err := s.read.QueryContext(ctx, valueKeys, mesh)
	return collect(rows, err, scanValue)
}

// SetValue implements [store.Values]. Nobody shares the store, so that a signal
// is for nobody.
func (s *Store) SetValue(ctx context.Context, v *store.Value, over *string, room store.Room, _ *store.Signal) (err error) {
	defer wrap(&err, "set value")
	args := valueArgs(v)
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if over != nil {
			return onlyOne(tx.ExecContext(ctx, changeValue, append(args, *over)...))
		}
		var mesh, member int
		if err := tx.QueryRowContext(ctx, countValues, v.MeshID, v.MemberID).Scan(&mesh, &member); err != nil {
			return err
		}
		if err := onlyOne(tx.ExecContext(ctx, insertValue, args...)); err != nil {
			return err
		}
		return room.Fits(mesh, member)
	})
}

// DeleteValue implements [store.Values].
func (s *Store) DeleteValue(ctx context.Context, mesh, key, over string, _ *store.Signal) (err error) {
	defer wrap(&err, "delete value")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return onlyOne(tx.ExecContext(ctx, deleteValue, mesh, key, over))
	})
}

// onlyOne takes the result of a statement that is to change one row, and returns
// ErrConflict when it has found none.
func onlyOne(r sql.Result, err error) error {
	if n, err := affected(r, err); err != nil || n == 1 {
		return err
	}
	return store.ErrConflict
}

func valueArgs(v *store.Value) []any {
	return []any{v.MeshID, v.Key, v.MemberID, v.Author, v.At.UnixMilli(), string(v.JSON)}
}

func scanValue(row scanner) (*store.Value, error) {
	v, text := new(store.Value), ""
	if err := row.Scan(&v.MeshID, &v.Key, &v.MemberID, &v.Author, (*millis)(&v.At), &text); err != nil {
		return nil, err
	}
	if text != "" {
		v.JSON = []byte(text)
	}
	return v, nil
}

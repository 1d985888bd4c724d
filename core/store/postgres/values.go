package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/claudemesh/broker/core/store"
)

const valueColumns = `mesh_id, key, member_id, author, updated_at, value`

const (
	valueByKey = `SELECT ` + valueColumns + ` FROM shared_state WHERE mesh_id = $1 AND key = $2`
	listValues = `SELECT ` + valueColumns + ` FROM shared_state WHERE mesh_id = $1 AND key > $2 ORDER BY key LIMIT $3`
	valueKeys  = `SELECT mesh_id, key, member_id, author, updated_at, '' FROM shared_state WHERE mesh_id = $1 ORDER BY key`

	// Who adds a value waits for its turn, so that no two are the last that fits.
	valueTurn   = `SELECT pg_advisory_xact_lock($1)`
	countValues = `SELECT count(*), count(*) FILTER (WHERE member_id = $2) FROM shared_state WHERE mesh_id = $1`

	insertValue = `INSERT INTO shared_state (` + valueColumns + `) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`
	changeValue = `UPDATE shared_state SET member_id = $3, author = $4, updated_at = $5, value = $6
		WHERE mesh_id = $1 AND key = $2 AND member_id = $7`
	deleteValue = `DELETE FROM shared_state WHERE mesh_id = $1 AND key = $2 AND member_id = $3`
)

// Value implements [store.Values].
func (s *Store) Value(ctx context.Context, mesh, key string) (v *store.Value, err error) {
	defer wrap(&err, "read value")
	return one(ctx, s, scanValue, valueByKey, mesh, key)
}

// ListValues implements [store.Values].
func (s *Store) ListValues(ctx context.Context, mesh, after string, limit int) (list []*store.Value, err error) {
	defer wrap(&err, "list values")
	return all(ctx, s, scanValue, listValues, mesh, after, max(limit, 0))
}

// ValueKeys implements [store.Values].
func (s *Store) ValueKeys(ctx context.Context, mesh string) (list []*store.Value, err error) {
	defer wrap(&err, "list keys of values")
	return all(ctx, s, scanValue, valueKeys, mesh)
}

// SetValue implements [store.Values].
func (s *Store) SetValue(ctx context.Context, v *store.Value, over *string, room store.Room, sig *store.Signal) (err error) {
	defer wrap(&err, "set value")
	args := valueArgs(v)
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if over != nil {
			if err := onlyOne(tx.Exec(ctx, changeValue, append(args, *over)...)); err != nil {
				return err
			}
			return appendSignal(ctx, tx, sig)
		}
		if err := addValue(ctx, tx, v, room, args); err != nil {
			return err
		}
		return appendSignal(ctx, tx, sig)
	})
}

// addValue writes a value whose key has none, if there is room.
func addValue(ctx context.Context, tx pgx.Tx, v *store.Value, room store.Room, args []any) error {
	if _, err := tx.Exec(ctx, valueTurn, lockKey("values of "+v.MeshID)); err != nil {
		return err
	}
	var mesh, member int
	if err := tx.QueryRow(ctx, countValues, v.MeshID, v.MemberID).Scan(&mesh, &member); err != nil {
		return err
	}
	if err := onlyOne(tx.Exec(ctx, insertValue, args...)); err != nil {
		return err
	}
	return room.Fits(mesh, member)
}

// DeleteValue implements [store.Values].
func (s *Store) DeleteValue(ctx context.Context, mesh, key, over string, sig *store.Signal) (err error) {
	defer wrap(&err, "delete value")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := onlyOne(tx.Exec(ctx, deleteValue, mesh, key, over)); err != nil {
			return err
		}
		return appendSignal(ctx, tx, sig)
	})
}

// onlyOne takes the result of a statement that is to change one row, and returns
// ErrConflict when it has found none.
func onlyOne(tag pgconn.CommandTag, err error) error {
	if err != nil || tag.RowsAffected() == 1 {
		return err
	}
	return store.ErrConflict
}

func valueArgs(v *store.Value) []any {
	return []any{v.MeshID, v.Key, v.MemberID, v.Author, whole(v.At), string(v.JSON)}
}

func scanValue(row scanner) (*store.Value, error) {
	v := new(store.Value)
	err := row.Scan(&v.MeshID, &v.Key, &v.MemberID, &v.Author, (*stamp)(&v.At), (*opaqueText)(&v.JSON))
	if err != nil {
		return nil, err
	}
	return v, nil
}

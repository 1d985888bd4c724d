package sqlite

import (
	"context"
	"database/sql"
)

// edit changes one row in place. T is the row.
type edit[T any] struct {
	op    string
	first func(ctx context.Context, tx *sql.Tx) error // before the row is read; nil for nothing
	read  string                                      // its argument is the id
	scan  func(scanner) (*T, error)
	write string // its arguments are args and the id; it returns the row
	args  func(*T) []any
}

// run reads the row, lets change edit it and writes what may change of it, in
// one transaction. It returns the row as it is then.
func (e edit[T]) run(ctx context.Context, s *Store, id string, change func(*T) error) (row *T, err error) {
	var refused error
	err = s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if e.first != nil {
			if err = e.first(ctx, tx); err != nil {
				return err
			}
		}
		if row, err = e.scan(tx.QueryRowContext(ctx, e.read, id)); err != nil {
			return err
		}
		if refused = change(row); refused != nil {
			return refused
		}
		row, err = e.scan(tx.QueryRowContext(ctx, e.write, append(e.args(row), id)...))
		return err
	})
	if refused != nil {
		return nil, refused
	}
	if err != nil {
		wrap(&err, e.op)
		return nil, err
	}
	return row, nil
}

package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// edit changes one row in place. T is the row.
type edit[T any] struct {
	op     string
	first  func(ctx context.Context, tx pgx.Tx) error // before the row is read; nil for nothing
	read   string                                     // its argument is the id
	scan   func(scanner) (*T, error)
	write  string // its arguments are the id and args; it returns the row
	args   func(*T) []any
	signal string // the kind of signal that tells all nodes; "" for none
}

// lockRow keeps others from changing the row that a query reads, and nobody from
// writing rows that refer to it.
const lockRow = ` FOR NO KEY UPDATE`

// run reads the row, lets change edit it and writes what may change of it, in
// one transaction. It returns the row as it is then.
func (e edit[T]) run(ctx context.Context, s *Store, id string, change func(*T) error) (row *T, err error) {
	var refused error
	err = s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if e.first != nil {
			if err = e.first(ctx, tx); err != nil {
				return err
			}
		}
		if row, err = e.scan(tx.QueryRow(ctx, e.read+lockRow, id)); err != nil {
			return err
		}
		if refused = change(row); refused != nil {
			return refused
		}
		if row, err = e.scan(tx.QueryRow(ctx, e.write, append([]any{id}, e.args(row)...)...)); err != nil || e.signal == "" {
			return err
		}
		return signalRow(ctx, tx, e.signal, id)
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

package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strconv"
)

// update runs fn in one write transaction: an error rolls everything back.
//
// A context that ends while others write ends the wait. Once the transaction
// has begun it runs to its end, so that nobody is left to guess whether a
// cancelled commit happened; fn gets a context that says so.
func (s *Store) update(ctx context.Context, fn func(context.Context, *sql.Tx) error) error {
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return transact(context.WithoutCancel(ctx), conn, fn)
}

// updateLazily is update without the wait for the disk, during which nobody else
// could write: a power cut may take the transaction, until another one that
// waits comes after it.
func (s *Store) updateLazily(ctx context.Context, fn func(context.Context, *sql.Tx) error) (err error) {
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()

	ctx = context.WithoutCancel(ctx)
	var synchronous int
	if err := conn.QueryRowContext(ctx, `PRAGMA synchronous`).Scan(&synchronous); err != nil {
		return err
	}
	defer func() {
		if _, e := conn.ExecContext(ctx, `PRAGMA synchronous = `+strconv.Itoa(synchronous)); e != nil {
			// A new connection begins with the setting that the store was opened with.
			err = errors.Join(err, e, conn.Raw(func(any) error { return driver.ErrBadConn }))
		}
	}()
	if _, err := conn.ExecContext(ctx, `PRAGMA synchronous = NORMAL`); err != nil {
		return err
	}
	return transact(ctx, conn, fn)
}

// transact runs fn in one transaction on the connection that writes.
func transact(ctx context.Context, conn *sql.Conn, fn func(context.Context, *sql.Tx) error) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := fn(ctx, tx); err != nil {
		tx.Rollback() // fails only when the transaction has ended by itself
		return err
	}
	return tx.Commit()
}

// view runs fn in one read transaction: all of its queries see the same state.
func (s *Store) view(ctx context.Context, fn func(*sql.Tx) error) error {
	tx, err := s.read.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		tx.Rollback() // fails only when the transaction has ended by itself
		return err
	}
	return tx.Commit()
}

// exec runs one statement in a write transaction and returns how many rows it
// changed.
func (s *Store) exec(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		n, err = affected(tx.ExecContext(ctx, query, args...))
		return err
	})
	return n, err
}

// affected is how many rows a statement changed. It takes the results of Exec.
func affected(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// scanner is a row: the only one of QueryRow, or the next one of Query.
type scanner interface{ Scan(...any) error }

// collect reads all rows with scan. It takes the results of Query and closes
// the rows.
func collect[T any](rows *sql.Rows, err error, scan func(scanner) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		row, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, row)
	}
	return list, rows.Err()
}

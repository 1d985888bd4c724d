package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// tries is how often a transaction is run that others got in the way of.
const tries = 4

// update runs fn in one transaction: an error rolls everything back. A
// transaction that others got in the way of is run again, so fn may run more
// than once.
func (s *Store) update(ctx context.Context, fn func(context.Context, pgx.Tx) error) (err error) {
	ctx, cancel := s.within(ctx)
	defer cancel()
	for range tries {
		err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return fn(ctx, tx) })
		if !collided(err) {
			break
		}
	}
	return err
}

// view runs fn in one transaction for reading: all of its queries see the same
// state.
func (s *Store) view(ctx context.Context, fn func(context.Context, pgx.Tx) error) error {
	ctx, cancel := s.within(ctx)
	defer cancel()
	return s.again(func() error { return s.snapshot(ctx, fn) })
}

// again reads once more when the connection was found to be broken. The others
// of the pool may be as dead, and are given up: a server that was away for a
// moment is none of the caller's business.
func (s *Store) again(read func() error) error {
	err := read()
	if broken(err) {
		s.pool.Reset()
		err = read()
	}
	return err
}

// snapshot is view without a bound on its time.
func (s *Store) snapshot(ctx context.Context, fn func(context.Context, pgx.Tx) error) error {
	o := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return pgx.BeginTxFunc(ctx, s.pool, o, func(tx pgx.Tx) error { return fn(ctx, tx) })
}

// exec runs one statement and returns how many rows it changed.
func (s *Store) exec(ctx context.Context, query string, args ...any) (n int64, err error) {
	ctx, cancel := s.within(ctx)
	defer cancel()
	for range tries {
		tag, e := s.pool.Exec(ctx, query, args...)
		if n, err = tag.RowsAffected(), e; !collided(err) {
			break
		}
	}
	return n, err
}

// scanner is a row: the only one of QueryRow, or the next one of Query.
type scanner interface{ Scan(...any) error }

// one reads the row that a query returns with scan. The query may run twice.
func one[T any](ctx context.Context, s *Store, scan func(scanner) (T, error), query string, args ...any) (v T, err error) {
	ctx, cancel := s.within(ctx)
	defer cancel()
	err = s.again(func() error {
		v, err = scan(s.pool.QueryRow(ctx, query, args...))
		return err
	})
	return v, err
}

// value reads the only column of the only row.
func value[T any](row scanner) (v T, err error) {
	err = row.Scan(&v)
	return v, err
}

// all reads every row that a query returns with scan. The query may run twice.
func all[T any](ctx context.Context, s *Store, scan func(scanner) (T, error), query string, args ...any) (list []T, err error) {
	ctx, cancel := s.within(ctx)
	defer cancel()
	err = s.again(func() error {
		rows, err := s.pool.Query(ctx, query, args...)
		list, err = collect(rows, err, scan)
		return err
	})
	return list, err
}

// collect reads all rows with scan. It takes the results of Query and closes
// the rows.
func collect[T any](rows pgx.Rows, err error, scan func(scanner) (T, error)) ([]T, error) {
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

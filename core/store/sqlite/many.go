package sqlite

import (
	"context"
	"database/sql"
	"runtime"
	"strings"
)

// runs are the numbers of rows that one statement writes, largest first. A
// batch is cut into these: preparing one statement for each length would cost
// more than it saves.
var runs = [...]int{64, 8, 1}

// many is a statement that writes rows, prepared for each of runs.
type many struct {
	stmts [len(runs)]*sql.Stmt
	args  []any // reused; holds nothing between calls
}

// prepareMany prepares the statement around a list of rows: head, then as
// often as there are rows the placeholders of one, then tail.
func prepareMany(ctx context.Context, db *sql.DB, head string, columns int, tail string) (m many, err error) {
	row := "(" + strings.Repeat("?, ", columns-1) + "?)"
	for i, n := range runs {
		query := head + strings.Repeat(row+", ", n-1) + row + tail
		if m.stmts[i], err = db.PrepareContext(ctx, query); err != nil { //nolint:sqlclosecheck // closed with its pool
			return m, err
		}
	}
	return m, nil
}

// write runs the statement for rows; args appends the arguments of one.
func write[T any](ctx context.Context, tx *sql.Tx, m *many, rows []T, args func([]any, T) []any) error {
	defer func() { clear(m.args[:cap(m.args)]) }()
	for i, n := range runs {
		if len(rows) < n {
			continue
		}
		stmt := tx.StmtContext(ctx, m.stmts[i]) //nolint:sqlclosecheck // closed with its transaction
		for len(rows) >= n {
			m.args = m.args[:0]
			for _, row := range rows[:n] {
				m.args = args(m.args, row)
			}
			if _, err := stmt.ExecContext(ctx, m.args...); err != nil {
				return err
			}
			runtime.Gosched() // pushes and pongs go out between statements
			rows = rows[n:]
		}
	}
	return nil
}

package lite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strconv"
	"strings"
	"time"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/claudemesh/broker/core/meshsql"
)

// mostValue is how many bytes a value may have, and a row. A function is not
// interrupted while it works on one, so that this bounds by how much a statement
// outlives its time.
const mostValue = 64 << 10

// bounds are SQLite's limits of what one statement may be made of. Each bounds the
// memory of its compiled form, or of one row.
func bounds() map[int]int {
	return map[int]int{
		lib.SQLITE_LIMIT_LENGTH:              mostValue,
		lib.SQLITE_LIMIT_SQL_LENGTH:          meshsql.MostStatement + 1,
		lib.SQLITE_LIMIT_COLUMN:              200,
		lib.SQLITE_LIMIT_EXPR_DEPTH:          100,
		lib.SQLITE_LIMIT_COMPOUND_SELECT:     50,
		lib.SQLITE_LIMIT_VDBE_OP:             25_000,
		lib.SQLITE_LIMIT_FUNCTION_ARG:        64,
		lib.SQLITE_LIMIT_ATTACHED:            0,
		lib.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 100,
		lib.SQLITE_LIMIT_VARIABLE_NUMBER:     0,
		lib.SQLITE_LIMIT_TRIGGER_DEPTH:       10,
		lib.SQLITE_LIMIT_WORKER_THREADS:      0,
	}
}

// statement is the connection that one statement has to itself.
type statement struct {
	limits meshsql.Limits
	policy *policy
	db     *sql.DB
	conn   *sql.Conn
}

func (s *statement) close() error {
	var err error
	if s.conn != nil {
		err = s.conn.Close()
	}
	return errors.Join(err, s.db.Close())
}

// run runs a stranger's statement in a transaction of its own.
func (s *statement) run(ctx context.Context, text string) (*meshsql.Result, error) {
	work, cancel := context.WithTimeout(ctx, s.limits.Time)
	defer cancel()
	begin := "BEGIN"
	if s.policy.writes {
		begin = "BEGIN IMMEDIATE"
	}
	if _, err := s.conn.ExecContext(work, begin); err != nil {
		return nil, s.words(ctx, work, err)
	}
	result, err := s.answer(work, text)
	if err != nil {
		return nil, s.words(ctx, work, err) // closing the connection undoes it
	}
	if !s.policy.writes {
		return result, nil
	}
	// It is short, and not cut off: it could have worked then.
	if _, err := s.conn.ExecContext(context.WithoutCancel(ctx), "COMMIT"); err != nil {
		return nil, s.words(context.WithoutCancel(ctx), context.WithoutCancel(ctx), err)
	}
	return result, nil
}

// answer compiles the statement, and runs it when it is the only one.
func (s *statement) answer(ctx context.Context, text string) (*meshsql.Result, error) {
	before, err := s.catalog(ctx)
	if err != nil {
		return nil, err
	}
	if err := before.fits(text); err != nil {
		return nil, err
	}
	s.policy.phase.Store(theirs)
	compiled, err := s.conn.PrepareContext(ctx, strings.TrimRight(text, " \t\r\n\f\v;"))
	s.policy.phase.Store(shut)
	if err != nil {
		return nil, err
	}
	defer compiled.Close()
	rows, err := compiled.QueryContext(ctx)
	if err != nil {
		return nil, err
	}
	result, count, err := s.collect(rows)
	if err != nil {
		return nil, err
	}
	if !s.policy.writes {
		return result, nil
	}
	s.policy.phase.Store(ours)
	if s.policy.shapes {
		after, err := s.catalog(ctx)
		if err != nil {
			return nil, err
		}
		if err := after.check(); err != nil {
			return nil, err
		}
	}
	var changed int64
	if err := s.conn.QueryRowContext(ctx, "SELECT changes()").Scan(&changed); err != nil {
		return nil, err
	}
	if result.RowCount = changed; changed == 0 {
		result.RowCount = count
	}
	return result, nil
}

// collect reads rows, all of a statement that writes: it does its work while it is
// read. Count is how many there were.
func (s *statement) collect(rows *sql.Rows) (_ *meshsql.Result, count int64, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	names, err := rows.Columns()
	if err != nil {
		return nil, 0, err
	}
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, 0, err
	}
	c := meshsql.NewCollector(names, s.limits)
	got, at, row := make([]any, len(names)), make([]any, len(names)), make([]meshsql.Value, len(names))
	for i := range got {
		at[i] = &got[i]
	}
	for more := true; (more || s.policy.writes) && rows.Next(); count++ {
		if err := rows.Scan(at...); err != nil {
			return nil, 0, err
		}
		for i := range got {
			row[i] = value(types[i].DatabaseTypeName(), got[i])
		}
		more = c.Add(row)
	}
	if err := rows.Err(); err != nil {
		return nil, 0, err
	}
	result, err := c.Result()
	return result, count, err
}

// value goes by the value's own type. The driver makes a time of a text in a column
// that is declared as one.
func value(declared string, v driver.Value) meshsql.Value {
	switch v := v.(type) {
	case nil:
		return meshsql.Null()
	case int64:
		return meshsql.Int(v)
	case float64:
		return meshsql.Float(v)
	case bool:
		return meshsql.Bool(v)
	case []byte:
		return meshsql.Blob(v)
	case time.Time:
		if day := v.UTC(); declared == "DATE" && day.Equal(day.Truncate(24*time.Hour)) {
			return meshsql.Text(day.Format(time.DateOnly))
		}
		return meshsql.Time(v)
	case string:
		return meshsql.Text(v)
	}
	return meshsql.Null() // the driver has no others
}

// words turns an error into what whoever asked may see. What is wrong with the
// file or the disk stays an error of ours.
func (s *statement) words(outer, work context.Context, err error) error {
	if outer.Err() != nil {
		return outer.Err()
	}
	failed, ok := errors.AsType[*sqlite.Error](err)
	switch {
	case work.Err() != nil:
		return meshsql.TooSlow(s.limits.Time)
	case meshsql.Refused(err) != nil || !ok:
		return err
	}
	switch failed.Code() & 0xff {
	case lib.SQLITE_INTERRUPT:
		return meshsql.TooSlow(s.limits.Time)
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		return meshsql.TooBusy()
	case lib.SQLITE_FULL:
		return meshsql.TooMuch(s.limits.MeshBytes)
	case lib.SQLITE_READONLY:
		return meshsql.Fail(meshsql.TextReadOnly)
	case lib.SQLITE_AUTH:
		return s.denied()
	case lib.SQLITE_NOMEM: // that is how SQLite names the limit of its compiled form
		return meshsql.Fail("the statement is too large once it is compiled: split it, or shorten its lists")
	case lib.SQLITE_IOERR, lib.SQLITE_CORRUPT, lib.SQLITE_CANTOPEN, lib.SQLITE_NOTADB, lib.SQLITE_PERM:
		return err
	}
	return meshsql.Fail("%s", s.own(failed))
}

// own is SQLite's own word, without what the driver puts around it.
func (s *statement) own(err *sqlite.Error) string {
	text := err.Error()
	if at := strings.LastIndex(text, " ("); at > 0 {
		text = text[:at]
	}
	text = strings.TrimPrefix(text, "SQL logic error: ")
	if strings.HasPrefix(text, "unsafe use of ") {
		text += ": call it in the statement itself, and not in a view, trigger, index or CHECK"
	}
	return text
}

// denied says what the policy does not allow.
func (s *statement) denied() error {
	switch why := s.policy.why; why {
	case readOnly:
		return meshsql.Fail(meshsql.TextReadOnly)
	case transactions:
		return meshsql.Fail(meshsql.TextTransactions)
	case another:
		return meshsql.Fail(meshsql.TextOneStatement)
	default:
		return meshsql.Fail("a statement may not use %s here", why)
	}
}

// schema lists tables and views with their columns.
func (s *statement) schema(ctx context.Context) (tables []meshsql.Table, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.limits.Time)
	defer cancel()
	rows, err := s.conn.QueryContext(ctx, `SELECT m.name, c.name, c.type, c."notnull" OR c.pk > 0
		FROM sqlite_schema m JOIN pragma_table_info(m.name) c
		WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\'
		ORDER BY m.name, c.cid LIMIT `+strconv.Itoa(meshsql.MostColumns))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var (
			table  string
			column meshsql.Column
			needed bool
		)
		if err := rows.Scan(&table, &column.Name, &column.Type, &needed); err != nil {
			return nil, err
		}
		column.Nullable = !needed
		if n := len(tables); n == 0 || tables[n-1].Name != table {
			tables = append(tables, meshsql.Table{Name: table})
		}
		last := &tables[len(tables)-1]
		last.Columns = append(last.Columns, column)
	}
	return tables, rows.Err()
}

package pg

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/claudemesh/broker/core/meshsql"
)

// closeTime bounds how long the end of a connection may take.
const closeTime = time.Second

// endTime bounds what has to be done whoever still waits for it.
const endTime = 5 * time.Second

// slack is how much longer than its time a statement gets to be ended by the
// server, before the broker cuts the connection.
const slack = 500 * time.Millisecond

// statement is the connection that one statement has to itself.
type statement struct {
	engine *Engine
	db     *database
	conn   *pgconn.PgConn
}

// open connects for one statement.
func (e *Engine) open(ctx context.Context, d *database, writes bool) (*statement, error) {
	conn, err := e.connect(ctx, d, writes)
	if err != nil {
		return nil, err
	}
	return &statement{engine: e, db: d, conn: conn}, nil
}

func (s *statement) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	_ = s.conn.Close(ctx) // what is left of it the next one ends
}

// run runs a stranger's statement in a transaction of its own.
func (e *Engine) run(ctx context.Context, d *database, a meshsql.Ask) (*meshsql.Result, error) {
	before, err := size(ctx, d)
	if err == nil && a.Writes && before > 2*e.limits.MeshBytes {
		before, err = e.shrink(ctx, d)
	}
	if err != nil {
		return nil, err
	}
	s, err := e.open(ctx, d, a.Writes)
	if err != nil {
		return nil, err
	}
	defer s.close(ctx)
	work, cancel := context.WithTimeout(ctx, e.limits.Time+slack)
	defer cancel()
	result, err := s.transaction(work, a, before)
	if err == nil {
		return result, nil
	}
	if a.Writes {
		s.sweep(ctx, before)
	}
	return nil, e.words(ctx, work, err)
}

// transaction runs the statement between a beginning and an end that are not its
// own to choose.
func (s *statement) transaction(ctx context.Context, a meshsql.Ask, before int64) (*meshsql.Result, error) {
	begin, end := "BEGIN READ ONLY", "ROLLBACK"
	if a.Writes {
		begin, end = "BEGIN", "COMMIT"
	}
	// The second statement takes a snapshot, after which a transaction that only
	// reads cannot be made one that writes.
	if err := s.own(ctx, begin, "SELECT 1"); err != nil {
		return nil, err
	}
	result, err := s.answer(ctx, a)
	if !a.Writes && err == nil && result.Truncated {
		return result, nil // its end was cut off, and the connection ends anyway
	}
	switch s.conn.TxStatus() {
	case 'I':
		return nil, errors.Join(meshsql.Fail(meshsql.TextTransactions), s.unprepare(ctx))
	case 'E':
		return nil, errors.Join(err, s.own(ctx, "ROLLBACK"))
	}
	if err != nil {
		return nil, err
	}
	if a.Writes {
		if err := s.count(ctx); err != nil {
			return nil, errors.Join(err, s.own(ctx, "ROLLBACK"))
		}
		// The files have grown already by what is not committed.
		after, err := size(ctx, s.db)
		if err != nil {
			return nil, err
		}
		if after > before && after > s.engine.limits.MeshBytes {
			return nil, errors.Join(meshsql.TooMuch(s.engine.limits.MeshBytes), s.own(ctx, "ROLLBACK"))
		}
	}
	// What is checked at the end is checked before it, within the statement's time:
	// a COMMIT that was cut off could have worked.
	if err := s.own(ctx, "SET CONSTRAINTS ALL IMMEDIATE"); err != nil {
		return nil, errors.Join(err, s.own(ctx, "ROLLBACK"))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer cancel()
	return result, s.own(ctx, end)
}

// own runs statements of the broker's own.
func (s *statement) own(ctx context.Context, statements ...string) error {
	for _, sql := range statements {
		if _, err := s.conn.ExecParams(ctx, sql, nil, nil, nil, nil).Close(); err != nil {
			return err
		}
	}
	return nil
}

// answer sends a stranger's statement in the extended protocol, in which the server
// itself refuses more than one.
func (s *statement) answer(ctx context.Context, a meshsql.Ask) (*meshsql.Result, error) {
	rows := s.conn.ExecParams(ctx, a.SQL, nil, nil, nil, nil)
	fields := rows.FieldDescriptions()
	var c *meshsql.Collector
	for more := true; rows.NextRow(); {
		if c == nil {
			fields = rows.FieldDescriptions()
			c = newCollector(fields, s.engine.limits)
		}
		if more {
			more = c.Add(values(fields, rows.Values()))
		}
		if !more && !a.Writes {
			break
		}
	}
	if c == nil {
		c = newCollector(rows.FieldDescriptions(), s.engine.limits)
	}
	result, cut := c.Result()
	if !a.Writes && (cut != nil || result.Truncated) {
		s.cancel(ctx) // and not read what nobody sees
		_, _ = rows.Close()
		return result, cut
	}
	tag, err := rows.Close()
	if err = errors.Join(err, cut); err != nil {
		return nil, err
	}
	if a.Writes {
		result.RowCount = tag.RowsAffected()
	}
	return result, nil
}

// mostRelations is how many tables, indexes, views and sequences a mesh may have,
// those within tables too. One statement may lock them all, and the locks of all
// databases of a server are in one table, of some 6,400 places by default.
const mostRelations = 1000

// count refuses a statement that makes one too many. What the mesh has made cannot
// take the place of what is named here in full, and at worst it fools itself.
func (s *statement) count(ctx context.Context) error {
	const own = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_class WHERE oid OPERATOR(pg_catalog.>=) 16384"
	rows := s.conn.ExecParams(ctx, own, nil, nil, nil, nil).Read()
	if rows.Err != nil {
		return rows.Err
	}
	n, err := strconv.Atoi(string(rows.Rows[0][0]))
	if err == nil && n > mostRelations {
		return &meshsql.Error{Kind: meshsql.Full, Text: fmt.Sprintf("the mesh may have %d tables, indexes and views: drop some", mostRelations)}
	}
	return err
}

// cancel asks the server to end the statement.
func (s *statement) cancel(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, closeTime)
	defer cancel()
	_ = s.conn.CancelRequest(ctx) // without it, the rows are read and thrown away
}

func newCollector(fields []pgconn.FieldDescription, l meshsql.Limits) *meshsql.Collector {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return meshsql.NewCollector(names, l)
}

// size returns how many bytes a mesh's database has on disk.
func size(ctx context.Context, d *database) (bytes int64, err error) {
	err = d.admin.QueryRow(ctx, "SELECT pg_database_size($1::name)", d.name).Scan(&bytes)
	return bytes, operators(err)
}

// sweepAbove is how much a statement that was undone may leave behind.
const sweepAbove = 4 << 20

// sweep gives back the room of a statement that was undone. Else one that fills
// the disk and fails could be repeated until it is full.
func (s *statement) sweep(ctx context.Context, before int64) {
	after, err := size(ctx, s.db)
	if err != nil || after < before+sweepAbove {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.engine.limits.Time)
	defer cancel()
	if s.conn.IsClosed() || s.conn.TxStatus() != 'I' {
		return
	}
	_ = s.own(ctx, "VACUUM") // what it does not reach, shrink does
}

// shrink gives back what statements that were undone have left behind and VACUUM did
// not reach, such as pages of indexes. It copies what is there, so that it comes when
// a database has twice the room of a mesh, and before it has more.
func (e *Engine) shrink(ctx context.Context, d *database) (int64, error) {
	s, err := e.open(ctx, d, true)
	if err != nil {
		return 0, err
	}
	work, cancel := context.WithTimeout(ctx, e.limits.Time+slack)
	defer cancel()
	err = s.own(work, "VACUUM FULL")
	s.close(ctx)
	if err != nil && code(err) != queryCanceled {
		return 0, e.words(ctx, work, err)
	}
	after, err := size(ctx, d)
	if err == nil && after > 2*e.limits.MeshBytes {
		return 0, &meshsql.Error{Kind: meshsql.Full, Text: fmt.Sprintf(
			"the database of the mesh has %d bytes, and may have %d: its operator can raise mesh_sql.mesh_bytes, so that rows can be deleted", after, e.limits.MeshBytes)}
	}
	return after, err
}

// unprepare takes back what a statement has prepared for a second phase, on a
// server that allows that: nobody would ever end it.
func (s *statement) unprepare(ctx context.Context) error {
	rows := s.conn.ExecParams(ctx, "SELECT gid FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database()", nil, nil, nil, nil).Read()
	if rows.Err != nil {
		return rows.Err
	}
	for _, row := range rows.Rows {
		if err := s.own(ctx, "ROLLBACK PREPARED "+quoted(string(row[0]))); err != nil {
			return err
		}
	}
	return nil
}

func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// words turns an error into what whoever asked may see.
func (e *Engine) words(outer, work context.Context, err error) error {
	if outer.Err() != nil {
		return outer.Err()
	}
	if refused := meshsql.Refused(err); refused != nil {
		return refused
	}
	if large, ok := errors.AsType[*messageTooLarge](err); ok {
		return meshsql.Fail("a row of the answer has %d bytes, and %d are the most: ask for fewer columns", large.bytes, e.limits.Bytes)
	}
	failed, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case ok && failed.Code == queryCanceled, !ok && work.Err() != nil:
		return meshsql.TooSlow(e.limits.Time)
	case !ok:
		return err
	}
	switch failed.Code {
	case readOnly:
		return meshsql.Fail(meshsql.TextReadOnly)
	case "42601":
		if failed.Message == "cannot insert multiple commands into a prepared statement" {
			return meshsql.Fail(meshsql.TextOneStatement)
		}
	case "57P01":
		return meshsql.Fail("the connection of the statement was ended")
	case "53200", "53300": // memory, locks or connections of the server
		return meshsql.Fail("the statement needs more than the database has for it: ask for less at a time")
	case "57P02", "57P03", "58030", "XX000", "XX001", "XX002":
		return err // the server, and not the statement
	}
	text := failed.Message
	if failed.Hint != "" {
		text += " (" + failed.Hint + ")"
	}
	if failed.Position > 0 {
		text += ", at character " + strconv.Itoa(int(failed.Position))
	}
	return meshsql.Fail("%s [%s]", text, failed.Code)
}

// schema lists tables and views with their columns, as the mesh's own role sees
// them.
func (e *Engine) schema(ctx context.Context, d *database) (tables []meshsql.Table, err error) {
	s, err := e.open(ctx, d, false)
	if err != nil {
		return nil, err
	}
	defer s.close(ctx)
	ctx, cancel := context.WithTimeout(ctx, e.limits.Time+slack)
	defer cancel()
	rows := s.conn.ExecParams(ctx, `SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
		WHERE table_schema = '`+schemaName+`' ORDER BY table_name, ordinal_position LIMIT `+strconv.Itoa(meshsql.MostColumns), nil, nil, nil, nil).Read()
	if rows.Err != nil {
		return nil, rows.Err
	}
	for _, row := range rows.Rows {
		name := string(row[0])
		if n := len(tables); n == 0 || tables[n-1].Name != name {
			tables = append(tables, meshsql.Table{Name: name})
		}
		last := &tables[len(tables)-1]
		last.Columns = append(last.Columns, meshsql.Column{Name: string(row[1]), Type: string(row[2]), Nullable: string(row[3]) == "YES"})
	}
	return tables, nil
}

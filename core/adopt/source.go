package adopt

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	schema        = "mesh"   // where the original keeps its tables
	accountSchema = "public" // where the web application keeps accounts
)

// closeTime bounds the goodbye to the database.
const closeTime = 5 * time.Second

// Source is one snapshot of the original's database. It is for one goroutine,
// and one query at a time.
type Source struct {
	conn    *pgx.Conn
	tx      pgx.Tx
	queries map[string]query // by table; those that are there
	missing []string
	zone    string // the time zone in which the database wrote its own times
}

// query is how a table is read.
type query struct {
	text  string         // up to WHERE
	place map[string]int // of each column in the result; missing ones are not in it
}

// Open connects to a database and looks at its tables. The caller closes the
// Source. Whatever the URL leaves out comes from the usual PG* variables.
func Open(ctx context.Context, url string) (*Source, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec // prepares nothing, which poolers like
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	s := &Source{conn: conn, queries: make(map[string]query)}
	if err := s.begin(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close ends the snapshot.
func (s *Source) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	s.conn.Close(ctx) //nolint:errcheck // nothing was written
}

// Missing says what this database does not have, and what that means.
func (s *Source) Missing() []string { return s.missing }

// begin takes the snapshot and plans how each table is read.
func (s *Source) begin(ctx context.Context) (err error) {
	s.tx, err = s.conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return err
	}
	if err := s.tx.QueryRow(ctx, `SELECT current_setting('TimeZone')`).Scan(&s.zone); err != nil {
		return err
	}
	if _, err := s.tx.Exec(ctx, `SET LOCAL TimeZone = 'UTC'`); err != nil {
		return err
	}
	if _, err := s.tx.Exec(ctx, `SET LOCAL DateStyle = 'ISO, YMD'`); err != nil {
		return err
	}
	there, err := s.columns(ctx)
	if err != nil {
		return err
	}
	for _, t := range tables() {
		if err := s.plan(t, there[t.schema+"."+t.name]); err != nil {
			return err
		}
	}
	return nil
}

// columns returns the columns of each table.
func (s *Source) columns(ctx context.Context) (map[string][]string, error) {
	rows, err := s.tx.Query(ctx,
		`SELECT table_schema || '.' || table_name, column_name::text FROM information_schema.columns
		WHERE table_schema IN ($1, $2)`, schema, accountSchema)
	if err != nil {
		return nil, err
	}
	there := make(map[string][]string)
	var table, name string
	_, err = pgx.ForEachRow(rows, []any{&table, &name}, func() error {
		there[table] = append(there[table], name)
		return nil
	})
	return there, err
}

// plan writes the query of a table with the columns that are there.
func (s *Source) plan(t table, there []string) error {
	if len(there) == 0 {
		if t.essential {
			return fmt.Errorf("there is no table %s.%s that this user may read: is this the original broker's database?", t.schema, t.name)
		}
		if !t.quiet {
			s.missing = append(s.missing, fmt.Sprintf("table %s: nothing of it is imported", t.name))
		}
		return nil
	}
	q := query{place: make(map[string]int)}
	var selected []string
	for _, c := range t.columns {
		name := c.name
		if c.other != "" && !slices.Contains(there, name) {
			name = c.other
		}
		switch {
		case slices.Contains(there, name):
			q.place[c.name] = len(selected)
			selected = append(selected, "t."+pgx.Identifier{name}.Sanitize()+"::text")
		case c.need:
			return fmt.Errorf("table %s.%s has no column %s, or none that this user may read: it cannot be imported without",
				t.schema, t.name, c.name)
		case c.without != "":
			s.missing = append(s.missing, fmt.Sprintf("column %s.%s: %s", t.name, c.name, c.without))
		}
	}
	q.text = "SELECT " + strings.Join(selected, ", ") + " FROM " + pgx.Identifier{t.schema, t.name}.Sanitize() + " t "
	s.queries[t.name] = q
	return nil
}

// has reports whether a table is there.
func (s *Source) has(table string) bool {
	_, ok := s.queries[table]
	return ok
}

// errStop ends a loop over rows early.
var errStop = errors.New("stop")

// read returns the rows of a table, none for a table that is not there. rest is
// what follows the table in the query, where the table is called t.
func (s *Source) read(ctx context.Context, table, rest string, args ...any) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		q, ok := s.queries[table]
		if !ok {
			return
		}
		rows, err := s.tx.Query(ctx, q.text+rest, args...)
		if err == nil {
			values := make([]*string, len(q.place))
			to := make([]any, len(values))
			for i := range values {
				to[i] = &values[i]
			}
			_, err = pgx.ForEachRow(rows, to, func() error {
				if !yield(record{q.place, slices.Clone(values)}, nil) {
					return errStop
				}
				return nil
			})
		}
		if err != nil && !errors.Is(err, errStop) {
			yield(record{}, fmt.Errorf("read table %s: %w", table, err))
		}
	}
}

// warnings says what to know about the database as a whole.
func (s *Source) warnings() []string {
	switch s.zone {
	case "UTC", "Etc/UTC", "GMT", "Etc/GMT", "UCT", "Zulu", "Universal":
		return []string{}
	}
	return []string{"the database's time zone is " + s.zone + ", in which it wrote the times of queue rows; they are taken as UTC, " +
		"so that what waits may expire hours too early or too late"}
}

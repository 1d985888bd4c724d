// Package sqltest holds the engines of package meshsql to the same behaviour.
package sqltest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/meshsql"
)

// Open makes an engine with some limits; it is closed when t ends. Two that are
// opened in one test have the same databases.
type Open func(t testing.TB, l meshsql.Limits) meshsql.Engine

// Limits are those of the suite, where a test has no others.
func Limits() meshsql.Limits {
	return meshsql.Limits{
		Time: 3 * time.Second, Wait: 20 * time.Second, Rows: 100, Bytes: 100 << 10,
		MeshBytes: 64 << 20, Statements: 2, Pending: 20,
	}
}

// Session asks for one member of one mesh.
type Session struct {
	T      testing.TB
	Engine meshsql.Engine
	Mesh   string
}

// Query asks a question.
func (s *Session) Query(sql string) (*meshsql.Result, error) {
	return s.Engine.Run(s.T.Context(), meshsql.Ask{Mesh: s.Mesh, Member: "ada", SQL: sql})
}

// Execute changes something.
func (s *Session) Execute(sql string) (*meshsql.Result, error) {
	return s.Engine.Run(s.T.Context(), meshsql.Ask{Mesh: s.Mesh, Member: "ada", SQL: sql, Writes: true})
}

// Must executes statements that have to work, and returns how many rows the last
// one changed.
func (s *Session) Must(statements ...string) (count int64) {
	s.T.Helper()
	for _, sql := range statements {
		r, err := s.Execute(sql)
		if err != nil {
			s.T.Fatalf("%s: %v", sql, err)
		}
		count = r.RowCount
	}
	return count
}

// Rows returns what a query finds, as one text.
func (s *Session) Rows(sql string) string {
	s.T.Helper()
	r, err := s.Query(sql)
	if err != nil {
		s.T.Fatalf("%s: %v", sql, err)
	}
	return Text(r)
}

// Text shows rows one after the other.
func Text(r *meshsql.Result) string {
	list := make([]string, len(r.Rows))
	for i, row := range r.Rows {
		list[i] = string(row)
	}
	return strings.Join(list, " ")
}

// Refused returns why a statement is refused, which it has to be.
func (s *Session) Refused(sql string, writes bool) meshsql.Error {
	s.T.Helper()
	run := s.Query
	if writes {
		run = s.Execute
	}
	r, err := run(sql)
	if err == nil {
		s.T.Fatalf("%.80s is not refused: %v", sql, r)
	}
	e := meshsql.Refused(err)
	if e == nil {
		s.T.Fatalf("%.80s: %v is no refusal", sql, err)
	}
	return *e
}

// Run holds an engine to what both must do.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, Open){
		"it reads what was written":              reads,
		"it types what it returns":               types,
		"it counts what it changed":              counts,
		"it tells of tables":                     tables,
		"it cuts what is too long":               cuts,
		"it ends what takes too long":            slow,
		"it runs one statement and no more":      single,
		"it reads and no more":                   readsOnly,
		"it undoes what fails":                   undoes,
		"it keeps meshes apart":                  apart,
		"it has room for so much":                full,
		"it lets nobody wait without end":        busy,
		"it runs statements of one mesh in turn": turns,
		"it gives every mesh its share":          shares,
		"it changes tables":                      alters,
		"it drops what a mesh had":               drops,
		"it refuses what is no statement":        noStatement,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

func session(t testing.TB, open Open, change ...func(*meshsql.Limits)) *Session {
	t.Helper()
	l := Limits()
	for _, f := range change {
		f(&l)
	}
	return &Session{T: t, Engine: open(t, l), Mesh: "mesh of " + t.Name()}
}

func want(t testing.TB, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got\n\t%s\nwant\n\t%s", got, want)
	}
}

func reads(t *testing.T, open Open) {
	s := session(t, open)
	if e := s.Refused("SELECT 1", false); e.Text != meshsql.TextNoTables {
		t.Errorf("before there is a table: %v", e)
	}
	s.Must("CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT)", "INSERT INTO words VALUES (1, 'one'), (2, 'two');")
	want(t, s.Rows("SELECT * FROM words ORDER BY id ; "), `{"id":1,"word":"one"} {"id":2,"word":"two"}`)
	want(t, s.Rows("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT sum(i) AS s FROM n"), `{"s":6}`)
	want(t, s.Rows("SELECT w.word, upper(w.word) AS up FROM words w WHERE EXISTS (SELECT 1 FROM words v WHERE v.id > w.id)"), `{"word":"one","up":"ONE"}`)
	want(t, s.Rows("SELECT 1 AS a, 2 AS a, 3 AS a_2, 4 AS a"), `{"a":1,"a_2":2,"a_2_2":3,"a_3":4}`)
	if r, err := s.Query("SELECT * FROM words WHERE id > 9"); err != nil || !cmp.Equal(r.Columns, []string{"id", "word"}) || r.RowCount != 0 {
		t.Errorf("no rows: %+v, %v", r, err)
	}
	other := &Session{T: t, Engine: open(t, Limits()), Mesh: s.Mesh}
	want(t, other.Rows("SELECT count(*) AS n FROM words"), `{"n":2}`)
	other.Must("DROP TABLE words")
	s.Refused("SELECT * FROM words", false)
}

func types(t *testing.T, open Open) {
	s := session(t, open)
	s.Must("CREATE TABLE things (n BIGINT, r DOUBLE PRECISION, t TEXT)",
		`INSERT INTO things VALUES (9007199254740992, 1.5, 'a"\é'), (9007199254740993, -1e300, ''), (-9007199254740993, NULL, NULL)`)
	want(t, s.Rows("SELECT * FROM things ORDER BY n DESC"),
		`{"n":"9007199254740993","r":-1e+300,"t":""} {"n":9007199254740992,"r":1.5,"t":"a\"\\é"} {"n":"-9007199254740993","r":null,"t":null}`)
}

func counts(t *testing.T, open Open) {
	s := session(t, open)
	for _, tt := range []struct {
		sql  string
		want int64
	}{
		{"CREATE TABLE n (i INTEGER)", 0},
		{"INSERT INTO n VALUES (1), (2), (3)", 3},
		{"UPDATE n SET i = i + 10 WHERE i > 1", 2},
		{"DELETE FROM n WHERE i > 100", 0},
		{"SELECT * FROM n", 3},
		{"DELETE FROM n", 3},
	} {
		if got := s.Must(tt.sql); got != tt.want {
			t.Errorf("%s: %d rows, want %d", tt.sql, got, tt.want)
		}
	}
	r, err := s.Execute("INSERT INTO n VALUES (7), (8) RETURNING i")
	if err != nil {
		t.Fatal(err)
	}
	want(t, fmt.Sprint(r.RowCount, " ", Text(r)), `2 {"i":7} {"i":8}`)
}

func tables(t *testing.T, open Open) {
	s := session(t, open)
	list := func() []meshsql.Table {
		list, err := s.Engine.Schema(t.Context(), s.Mesh)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if got := list(); len(got) != 0 {
		t.Errorf("without a database: %v", got)
	}
	s.Must("CREATE TABLE b (id INTEGER PRIMARY KEY, note TEXT)", "CREATE TABLE a (x INTEGER NOT NULL)", "CREATE VIEW v AS SELECT note FROM b")
	var got []string
	for _, table := range list() {
		for _, c := range table.Columns {
			got = append(got, fmt.Sprint(table.Name, " ", c.Name, " ", strings.ToLower(c.Type), " ", c.Nullable))
		}
	}
	want(t, strings.Join(got, ", "), "a x integer false, b id integer false, b note text true, v note text true")
}

func cuts(t *testing.T, open Open) {
	s := session(t, open, func(l *meshsql.Limits) { l.Rows, l.Bytes = 5, 2000 })
	s.Must("CREATE TABLE n (i INTEGER, t TEXT)",
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) INSERT INTO n SELECT i, '' FROM n")
	for _, tt := range []struct {
		sql  string
		rows int64
		cut  bool
	}{
		{"SELECT * FROM n ORDER BY i", 5, true},
		{"SELECT * FROM n ORDER BY i LIMIT 5", 5, false},
		{"SELECT replace('0123456789', '5', '" + strings.Repeat("x", 600) + "') AS t FROM n", 3, true},
	} {
		r, err := s.Query(tt.sql)
		if err != nil || r.RowCount != tt.rows || int(tt.rows) != len(r.Rows) || r.Truncated != tt.cut {
			t.Errorf("%.40s: %+v, %v", tt.sql, r, err)
		}
	}
	wide := s.Refused("SELECT '"+strings.Repeat("x", 3000)+"'", false)
	if !strings.Contains(wide.Text, "fewer columns") {
		t.Error(wide)
	}
	// What is not shown is changed all the same.
	r, err := s.Execute("UPDATE n SET t = 'seen' RETURNING i")
	if err != nil || r.RowCount != 20 || len(r.Rows) != 5 || !r.Truncated {
		t.Errorf("%+v, %v", r, err)
	}
	want(t, s.Rows("SELECT count(*) AS n FROM n WHERE t = 'seen'"), `{"n":20}`)
}

const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "

func slow(t *testing.T, open Open) {
	s := session(t, open, func(l *meshsql.Limits) { l.Time = 300 * time.Millisecond })
	s.Must("CREATE TABLE n (i BIGINT)")
	for _, writes := range []bool{false, true} {
		if e := s.Refused(endless+"SELECT count(*) FROM n", writes); !strings.Contains(e.Text, "took longer") {
			t.Error(e)
		}
	}
	if e := s.Refused(endless+"INSERT INTO n SELECT i FROM n", true); !strings.Contains(e.Text, "took longer") {
		t.Error(e)
	}
	want(t, s.Rows("SELECT count(*) AS n FROM n"), `{"n":0}`)
}

func single(t *testing.T, open Open) {
	s := session(t, open)
	s.Must("CREATE TABLE n (i INTEGER)")
	for _, sql := range []string{
		"INSERT INTO n VALUES (1); INSERT INTO n VALUES (2)",
		"INSERT INTO n VALUES (1); COMMIT",
		"SELECT 1; DROP TABLE n",
		"BEGIN", "COMMIT", "ROLLBACK", "COMMIT; INSERT INTO n VALUES (1)", "SAVEPOINT s; SELECT 1", "RELEASE s",
		"END", "BEGIN IMMEDIATE", "COMMIT; BEGIN",
	} {
		for _, writes := range []bool{false, true} {
			if _, err := s.Engine.Run(t.Context(), meshsql.Ask{Mesh: s.Mesh, SQL: sql, Writes: writes}); err == nil && sql != "BEGIN" {
				t.Errorf("%s (writes: %v) is not refused", sql, writes)
			}
		}
	}
	want(t, s.Rows("SELECT count(*) AS n FROM n"), `{"n":0}`)
}

func readsOnly(t *testing.T, open Open) {
	s := session(t, open)
	s.Must("CREATE TABLE n (i INTEGER)", "INSERT INTO n VALUES (1)")
	for _, sql := range []string{
		"INSERT INTO n VALUES (2)", "UPDATE n SET i = 2", "DELETE FROM n", "DROP TABLE n", "CREATE TABLE m (i INTEGER)",
		"INSERT INTO n VALUES (2) RETURNING i", "CREATE INDEX x ON n (i)", "ALTER TABLE n ADD COLUMN j INTEGER",
		"CREATE VIEW v AS SELECT 1", "WITH x AS (SELECT 2) INSERT INTO n SELECT * FROM x", "CREATE TEMP TABLE m (i INTEGER)",
		"VACUUM",
	} {
		s.Refused(sql, false)
	}
	if e := s.Refused("INSERT INTO n VALUES (2)", false); e.Text != meshsql.TextReadOnly {
		t.Error(e)
	}
	want(t, s.Rows("SELECT * FROM n"), `{"i":1}`)
}

func undoes(t *testing.T, open Open) {
	s := session(t, open)
	s.Must("CREATE TABLE n (i INTEGER PRIMARY KEY)", "INSERT INTO n VALUES (3)")
	s.Refused("INSERT INTO n VALUES (1), (2), (3)", true)
	want(t, s.Rows("SELECT * FROM n"), `{"i":3}`)
	e := s.Refused("SELECT * FROM nothere", false)
	if !strings.Contains(e.Text, "nothere") {
		t.Errorf("the database's own word is lost: %v", e)
	}
	s.Refused("SELEKT 1", false)
}

func apart(t *testing.T, open Open) {
	s := session(t, open)
	other := &Session{T: t, Engine: s.Engine, Mesh: "another mesh"}
	t.Cleanup(func() { _ = s.Engine.Drop(context.WithoutCancel(t.Context()), other.Mesh) })
	s.Must("CREATE TABLE secrets (word TEXT)", "INSERT INTO secrets VALUES ('plum')")
	other.Must("CREATE TABLE mine (word TEXT)")
	other.Refused("SELECT * FROM secrets", false)
	s.Refused("SELECT * FROM mine", false)
	list, err := other.Engine.Schema(t.Context(), other.Mesh)
	if err != nil || len(list) != 1 || list[0].Name != "mine" {
		t.Errorf("%v, %v", list, err)
	}
}

func full(t *testing.T, open Open) {
	s := session(t, open, func(l *meshsql.Limits) { l.MeshBytes = 12 << 20 })
	s.Must("CREATE TABLE n (t TEXT)")
	fill := "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO n SELECT '" + strings.Repeat("x", 1000) + "' FROM n"
	var e *meshsql.Error
	for range 20 {
		if _, err := s.Execute(fill); err != nil {
			e = meshsql.Refused(err)
			break
		}
	}
	if e == nil || e.Kind != meshsql.Full {
		t.Fatalf("got %v, want no room", e)
	}
	s.Must("DELETE FROM n", "DROP TABLE n", "CREATE TABLE n (t TEXT)", "INSERT INTO n VALUES ('again')")
	want(t, s.Rows("SELECT * FROM n"), `{"t":"again"}`)
}

func busy(t *testing.T, open Open) {
	s := session(t, open, func(l *meshsql.Limits) { l.Time, l.Wait, l.Pending = time.Second, 50*time.Millisecond, 3 })
	s.Must("CREATE TABLE n (i INTEGER)")
	var wg sync.WaitGroup
	errs := make(chan error, 5)
	for range 5 {
		wg.Go(func() {
			_, err := s.Query(endless + "SELECT count(*) FROM n")
			errs <- err
		})
	}
	wg.Wait()
	close(errs)
	kinds := map[meshsql.Kind]int{}
	for err := range errs {
		e := meshsql.Refused(err)
		if e == nil {
			t.Fatal(err)
		}
		kinds[e.Kind]++
	}
	if kinds[meshsql.Failed] != 1 || kinds[meshsql.Busy] != 4 {
		t.Errorf("got %v, want one that ran and four that did not", kinds)
	}
	want(t, s.Rows("SELECT count(*) AS n FROM n"), `{"n":0}`)
}

func turns(t *testing.T, open Open) {
	s := session(t, open)
	other := &Session{T: t, Engine: open(t, Limits()), Mesh: s.Mesh} // as another process has it
	s.Must("CREATE TABLE n (i INTEGER)", "INSERT INTO n VALUES (0)")
	var wg sync.WaitGroup
	for i := range 10 {
		by := s
		if i%2 == 1 {
			by = other
		}
		wg.Go(func() {
			if _, err := by.Execute("UPDATE n SET i = i + 1"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	want(t, s.Rows("SELECT * FROM n"), `{"i":10}`)
}

// However many members of a mesh ask for what takes long, it has one of two places,
// and what they wait for is told to them.
func shares(t *testing.T, open Open) {
	heavy := session(t, open, func(l *meshsql.Limits) { l.Time, l.Wait = 2*time.Second, 100*time.Millisecond })
	light := &Session{T: t, Engine: heavy.Engine, Mesh: "light " + heavy.Mesh}
	heavy.Must("CREATE TABLE n (i INTEGER)")
	light.Must("CREATE TABLE n (i INTEGER)", "INSERT INTO n VALUES (7)")
	var wg sync.WaitGroup
	var busy, slow atomic.Int64
	for member := range 20 {
		wg.Go(func() {
			_, err := heavy.Engine.Run(context.Background(), meshsql.Ask{Mesh: heavy.Mesh, Member: fmt.Sprint(member), SQL: endless + "SELECT count(*) FROM n"})
			switch e := meshsql.Refused(err); {
			case e == nil:
				t.Errorf("got %v", err)
			case e.Kind == meshsql.Busy && strings.Contains(e.Text, "try again in a moment"):
				busy.Add(1)
			default:
				slow.Add(1)
			}
		})
	}
	for busy.Load() == 0 { // one runs, and others have given up by then
		want(t, light.Rows("SELECT * FROM n"), `{"i":7}`)
	}
	wg.Wait()
	if slow.Load() == 0 || slow.Load()+busy.Load() != 20 {
		t.Errorf("%d ran too long and %d waited too long, of 20", slow.Load(), busy.Load())
	}
}

func alters(t *testing.T, open Open) {
	s := session(t, open)
	s.Must("CREATE TABLE n (i INTEGER, j INTEGER)", "INSERT INTO n VALUES (1, 2)", "CREATE INDEX n_i ON n (i)",
		"ALTER TABLE n RENAME TO m", "ALTER TABLE m RENAME COLUMN j TO k", "ALTER TABLE m ADD COLUMN l TEXT DEFAULT 'x'",
		"ALTER TABLE m DROP COLUMN k", "CREATE VIEW v AS SELECT i FROM m", "CREATE UNIQUE INDEX m_l ON m (l)")
	want(t, s.Rows("SELECT m.*, v.i AS vi FROM m, v"), `{"i":1,"l":"x","vi":1}`)
	s.Must("DROP VIEW v", "DROP INDEX m_l", "DROP TABLE m")
}

func drops(t *testing.T, open Open) {
	s := session(t, open)
	if err := s.Engine.Drop(t.Context(), s.Mesh); err != nil {
		t.Errorf("nothing to drop: %v", err)
	}
	s.Must("CREATE TABLE n (i INTEGER)")
	if err := s.Engine.Drop(t.Context(), s.Mesh); err != nil {
		t.Fatal(err)
	}
	if e := s.Refused("SELECT * FROM n", false); e.Text != meshsql.TextNoTables {
		t.Error(e)
	}
	s.Must("CREATE TABLE n (i INTEGER)")
}

func noStatement(t *testing.T, open Open) {
	s := session(t, open)
	s.Must("CREATE TABLE n (i INTEGER)")
	for _, sql := range []string{"", " \n;; ", "SELECT 1\x00", "SELECT '\xff'", "SELECT '" + strings.Repeat("x", meshsql.MostStatement) + "'"} {
		for _, writes := range []bool{false, true} {
			s.Refused(sql, writes)
		}
	}
}

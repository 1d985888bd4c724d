package sqltest

import (
	"context"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claudemesh/broker/core/meshsql"
)

// Hostile runs attacks, each as a query and as a change, and looks whether the mesh
// works as before, and another mesh has what it had: after each attack that may be
// harmless, and now and then between those that are refused both times, which is
// what refused says.
func Hostile(t *testing.T, open Open, attacks []string, refused func(sql string) bool) {
	t.Helper()
	s := session(t, open, func(l *meshsql.Limits) { l.Time = time.Second })
	victim := &Session{T: t, Engine: s.Engine, Mesh: "victim of " + t.Name()}
	t.Cleanup(func() { _ = s.Engine.Drop(context.WithoutCancel(t.Context()), victim.Mesh) })
	victim.Must("CREATE TABLE secrets (word TEXT)", "INSERT INTO secrets VALUES ('plum')")
	s.reset()
	for i, sql := range attacks {
		for _, writes := range []bool{false, true} {
			began := time.Now()
			r, err := s.Engine.Run(t.Context(), meshsql.Ask{Mesh: s.Mesh, Member: "mallory", SQL: sql, Writes: writes})
			switch {
			case err == nil && refused(sql):
				t.Errorf("%s (writes: %v) is not refused: %.200s", sql, writes, Text(r))
			case err != nil && meshsql.Refused(err) == nil:
				t.Errorf("%s (writes: %v) is no refusal: %v", sql, writes, err)
			}
			t.Logf("%v %.60q: %v", time.Since(began).Round(time.Millisecond), sql, err)
		}
		if i%10 == 9 || !refused(sql) {
			s.works(sql)
		}
		if !refused(sql) {
			s.reset()
		}
	}
	want(t, victim.Rows("SELECT * FROM secrets"), `{"word":"plum"}`)
}

// reset gives a mesh what the attacks begin with.
func (s *Session) reset() {
	s.T.Helper()
	if _, err := s.Execute("DROP TABLE IF EXISTS n"); err != nil {
		if err := s.Engine.Drop(s.T.Context(), s.Mesh); err != nil {
			s.T.Fatal(err)
		}
	}
	s.Must("CREATE TABLE n AS SELECT 1 AS i, 'kept' AS t")
}

// works checks that everybody in a mesh can go on after a statement, but for what
// it may do to rows.
func (s *Session) works(after string) {
	s.T.Helper()
	if _, err := s.Execute("CREATE TABLE IF NOT EXISTS after_it (i INTEGER)"); err != nil {
		s.T.Errorf("after %s: %v", after, err)
	}
}

// Words are what [Fuzz] makes statements of.
func Words() []string {
	return []string{
		"SELECT", "INSERT INTO", "UPDATE", "DELETE FROM", "CREATE TABLE", "CREATE VIEW", "CREATE TEMP TABLE", "DROP TABLE", "ALTER TABLE",
		"WITH", "RECURSIVE", "AS", "FROM", "WHERE", "UNION ALL", "VALUES", "SET", "JOIN", "ORDER BY", "LIMIT", "RETURNING", "BEGIN", "COMMIT",
		"ROLLBACK", "PRAGMA", "ATTACH", "VACUUM", "INTO", "COPY", "DO", "ROLE", "RESET", "GRANT", "TO", "PUBLIC", "ON", "EXPLAIN", "ANALYZE",
		"n", "m", "secrets", "sqlite_master", "pg_class", "i", "t", "*", "(", ")", "((", "))", ",", ";", "=", "1", "-1", "1e999", "'x'", "'", "\"n\"",
		"$$", "$1", "?", "--", "/*", "*/", "NULL", "count(*)", "max(i)", "load_extension('x')", "pg_sleep(9)", "zeroblob(99999999)", "\n", "é", "\\",
	}
}

// Fuzz runs statements that are put together at random: whatever they are, the
// engine answers or refuses, and another mesh keeps what it has.
func Fuzz(t *testing.T, open Open) {
	t.Helper()
	s := session(t, open, func(l *meshsql.Limits) { l.Time = 500 * time.Millisecond })
	victim := &Session{T: t, Engine: s.Engine, Mesh: "victim of " + t.Name()}
	t.Cleanup(func() { _ = s.Engine.Drop(context.WithoutCancel(t.Context()), victim.Mesh) })
	victim.Must("CREATE TABLE secrets (word TEXT)", "INSERT INTO secrets VALUES ('plum')")
	s.reset()
	rapid.Check(t, func(rt *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(Words()), 1, 20).Draw(rt, "words"), " ")
		a := meshsql.Ask{Mesh: s.Mesh, Member: "mallory", SQL: text, Writes: rapid.Bool().Draw(rt, "writes")}
		if r, err := s.Engine.Run(t.Context(), a); err != nil && meshsql.Refused(err) == nil {
			rt.Fatalf("%s: %v", text, err)
		} else if err == nil {
			for _, row := range r.Rows {
				if !row.IsValid() {
					rt.Fatalf("%s: %s is no JSON", text, row)
				}
			}
		}
	})
	s.works("the last one")
	want(t, victim.Rows("SELECT * FROM secrets"), `{"word":"plum"}`)
}

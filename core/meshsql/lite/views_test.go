package lite

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/meshsql"
	"github.com/claudemesh/broker/core/meshsql/sqltest"
)

// Views that double one another are refused before SQLite writes them out, in
// whichever order they are made, and can be dropped again.
func TestHostileViews(t *testing.T) {
	for name, up := range map[string]bool{"from the smallest": true, "from the largest": false} {
		t.Run(name, func(t *testing.T) {
			s := &sqltest.Session{T: t, Engine: opener(t)(t, sqltest.Limits()), Mesh: "m"}
			s.Must(`CREATE TABLE "V0" (i INTEGER)`)
			var failed *meshsql.Error
			var made []int
			for n := range 20 {
				i := n + 1
				if !up {
					i = 20 - n
				}
				_, err := s.Execute(fmt.Sprintf("CREATE VIEW [v%d] AS SELECT x.i FROM 'V%d' x /* v%d */, main.\"v%d\" y", i, i-1, i, i-1))
				if err == nil {
					made = append(made, i)
				} else if failed = meshsql.Refused(err); failed == nil || !strings.Contains(failed.Text, "fewer views") {
					t.Fatal(err)
				} else {
					break
				}
			}
			if failed == nil || len(made) < 5 {
				t.Fatalf("%d views are made: %v", len(made), failed)
			}
			s.Must("CREATE TABLE after_it (i INTEGER)")
			if _, err := s.Engine.Schema(t.Context(), "m"); err != nil && up {
				t.Error(err)
			}
			for _, i := range made {
				s.Must(fmt.Sprintf("DROP VIEW v%d", i))
			}
		})
	}
}

// One statement that names many views is refused too.
func TestHostileManyViews(t *testing.T) {
	s := &sqltest.Session{T: t, Engine: opener(t)(t, sqltest.Limits()), Mesh: "m"}
	s.Must("CREATE TABLE n (i INTEGER)", "CREATE VIEW v AS SELECT 1"+strings.Repeat(" + (SELECT 1 FROM n)", 90)+" AS i")
	if got := s.Rows("SELECT i FROM v"); !strings.Contains(got, "null") {
		t.Error(got)
	}
	if e := s.Refused("SELECT 1"+strings.Repeat(",(SELECT 1 FROM v)", 60), false); !strings.Contains(e.Text, "fewer views") {
		t.Error(e)
	}
}

// The catalog, which is read for each statement, has a size.
func TestCatalogIsCounted(t *testing.T) {
	s := &sqltest.Session{T: t, Engine: opener(t)(t, sqltest.Limits()), Mesh: "m"}
	var failed *meshsql.Error
	for i := range 60 {
		if _, err := s.Execute(fmt.Sprintf("CREATE TABLE n%d (i INTEGER) /* %s */", i, strings.Repeat("x", 10))); err != nil {
			t.Fatal(err)
		}
		_, err := s.Execute(fmt.Sprintf("CREATE TABLE m%d (i TEXT DEFAULT '%s')", i, strings.Repeat("x", 30_000)))
		if failed = meshsql.Refused(err); failed != nil {
			break
		}
	}
	if failed == nil || failed.Kind != meshsql.Full {
		t.Fatalf("got %v", failed)
	}
	s.Must("DROP TABLE m0", "CREATE TABLE again (i INTEGER)")
}

func TestWords(t *testing.T) {
	for text, want := range map[string][]string{
		"SELECT a_1 FROM B":                 {"select", "a_1", "from", "b"},
		`"A""b" 'c''D' ` + "`e``F` [g \"H]": {`a"b`, "c'd", "e`f", `g "h`},
		"a--b\nc/*d*/e--f":                  {"a", "c", "e"},
		"a/*b":                              {"a"},
		"größe.x":                           {"größe", "", "x"},
		"'":                                 {""},
		"[":                                 {""},
		"'a":                                {"a"},
		"a'b'\"c\"":                         {"a", "b", "c"},
		"''":                                {""},
		"SELECT/**/V--\n":                   {"select", "v"},
	} {
		if got := words(text); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

package lite

import (
	"path/filepath"
	"testing"

	"github.com/claudemesh/broker/core/meshsql"
	"github.com/claudemesh/broker/core/meshsql/sqltest"
)

// opener makes engines on the same directory within one test.
func opener(t testing.TB) sqltest.Open {
	dir := filepath.Join(t.TempDir(), "sql")
	return func(t testing.TB, l meshsql.Limits) meshsql.Engine {
		t.Helper()
		e, err := Open(dir, l)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
}

func TestEngine(t *testing.T) { sqltest.Run(t, opener(t)) }

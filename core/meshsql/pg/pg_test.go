package pg

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/meshsql"
	"github.com/claudemesh/broker/core/meshsql/sqltest"
	"github.com/claudemesh/broker/core/store/pgtest"
)

// opener makes engines on the same broker's database within one test, and drops
// what they made.
func opener(t testing.TB) sqltest.Open { return openerAt(t, pgtest.URL(t)) }

func openerAt(t testing.TB, url string) sqltest.Open {
	t.Helper()
	c, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	dropAll(t, url)
	return func(t testing.TB, l meshsql.Limits) meshsql.Engine {
		t.Helper()
		e, err := Open(t.Context(), Options{
			URL: url, Broker: c.Database, Prefix: prefixOf(c.Database), Databases: 100, ConnectTimeout: 5 * time.Second, Limits: l,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
		return e
	}
}

// prefixOf tells the databases of one test from those of others.
func prefixOf(database string) string { return "m" + strings.TrimPrefix(database, "pgtest_")[:13] }

// dropAll deletes all databases of meshes when a test ends.
func dropAll(t testing.TB, url string) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close(ctx)
		rows, err := conn.Query(ctx, "SELECT rolname::text FROM pg_roles WHERE starts_with(rolname, $1)", prefixOf(conn.Config().Database)+"_")
		if err != nil {
			t.Error(err)
			return
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Error(err)
		}
		for _, name := range names {
			for _, sql := range []string{"DROP DATABASE IF EXISTS " + name + " WITH (FORCE)", "DROP ROLE IF EXISTS " + name} {
				if _, err := conn.Exec(ctx, sql); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

func TestEngine(t *testing.T) {
	t.Parallel()
	sqltest.Run(t, opener(t))
}

package pg

import (
	"context"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
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

// A server that is there and does not answer is given up, and so is the place that a
// statement has meanwhile.
func TestServerFallsSilent(t *testing.T) {
	t.Parallel()
	at := pgtest.URL(t)
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	var silent atomic.Bool
	u.Host = relay(t, u.Host, &silent)
	e := engine(t, u.String())
	s := &sqltest.Session{T: t, Engine: e, Mesh: "m"}
	s.Must("CREATE TABLE n (i int)")
	silent.Store(true)
	e.patience = 500 * time.Millisecond
	for range 2 * e.limits.Statements {
		if _, err := s.Query("SELECT 1"); err == nil || meshsql.Refused(err) != nil {
			t.Errorf("got %v, want that the server is away", err)
		}
	}
	silent.Store(false)
	e.patience = time.Minute
	s.Must("INSERT INTO n VALUES (1)")
}

// relay hands on what is sent to and from an address, but not while it is silent.
func relay(t *testing.T, to string, silent *atomic.Bool) (at string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	half := func(from, to net.Conn) {
		defer to.Close()
		for buf := make([]byte, 32<<10); ; {
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			if silent.Load() {
				continue
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := (&net.Dialer{}).Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			go half(in, out)
			go half(out, in)
		}
	}()
	return l.Addr().String()
}

package pgtest

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func value(t *testing.T, url, query string) (got string) {
	t.Helper()
	conn := connect(t, url)
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), query).Scan(&got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestURL(t *testing.T) {
	const name = "select current_database()"
	a, b := value(t, URL(t), name), value(t, URL(t), name)
	if a == b {
		t.Errorf("both databases are %s", a)
	}
	if !strings.HasPrefix(a, "pgtest_") || !strings.HasSuffix(a, "_testurl") {
		t.Errorf("nobody knows whose database %s is", a)
	}
}

func TestDatabaseIsGoneWithItsTest(t *testing.T) {
	var url string
	t.Run("of its own", func(t *testing.T) {
		url = URL(t)
		connect(t, url) // and stays connected
	})
	conn, err := pgx.Connect(t.Context(), url)
	if err == nil {
		conn.Close(t.Context())
	}
	const invalidCatalogName = "3D000"
	if answer := (*pgconn.PgError)(nil); !errors.As(err, &answer) || answer.Code != invalidCatalogName {
		t.Errorf("got %v, want that there is no such database", err)
	}
}

func TestURLForManyAtOnce(t *testing.T) {
	for range 8 {
		t.Run("one", func(t *testing.T) {
			t.Parallel()
			if got := value(t, URL(t), "select current_setting('timezone')"); got != "UTC" {
				t.Errorf("the timezone is %s", got)
			}
		})
	}
}

func TestFilledCopiesOneDatabase(t *testing.T) {
	const count = "select count(*)::text from filled"
	filled := 0
	next := Filled(func(url string) error {
		filled++
		conn := connect(t, url)
		_, err := conn.Exec(t.Context(), "create table filled as select 1 as n")
		return errors.Join(err, conn.Close(t.Context()))
	})
	a, b := next(t), next(t)
	conn := connect(t, a)
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "insert into filled values (2)"); err != nil {
		t.Fatal(err)
	}
	if a, b := value(t, a, count), value(t, b, count); a != "2" || b != "1" {
		t.Errorf("the databases have %s and %s rows, want 2 and 1", a, b)
	}
	if s, err := shared(); err != nil || s.server != nil && filled != 1 {
		t.Errorf("filled %d times on a server of ours, error %v", filled, err)
	}
}

package pgtest

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
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
	begun := time.Now()
	first := URL(t)
	t.Logf("first database after %v", time.Since(begun))
	begun = time.Now()
	second := URL(t)
	t.Logf("second after %v", time.Since(begun))

	const name = "select current_database()"
	if a, b := value(t, first, name), value(t, second, name); a == b {
		t.Errorf("both databases are %s", a)
	}
}

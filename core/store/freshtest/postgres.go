package freshtest

import (
	"context"
	"testing"

	"github.com/claudemesh/broker/core/store/pgtest"
	"github.com/claudemesh/broker/core/store/postgres"
)

// URL is [pgtest.URL] with the tables of a store in the database.
func URL(tb testing.TB) string {
	tb.Helper()
	return database(tb)
}

var database = pgtest.Filled(func(url string) error {
	st, err := postgres.Open(context.Background(), postgres.Options{URL: url, Migrate: true})
	if err != nil {
		return err
	}
	return st.Close()
})

package pgtest

import (
	"fmt"
	"sync"
	"testing"
)

// Filled returns a function like [URL] whose databases are not empty: each is a
// copy of one that fill has filled, which is much quicker than to fill each. On
// a server that was given to us each is filled, because nothing there would
// drop the one that is copied. Fill leaves nobody connected.
func Filled(fill func(url string) error) func(testing.TB) string {
	template := sync.OnceValues(func() (string, error) {
		s, err := shared()
		if err != nil {
			return "", err
		}
		name, err := createDatabase(s.admin, "template", empty)
		if err != nil {
			return "", err
		}
		if err := fill(withDatabase(s.admin, name)); err != nil {
			return "", fmt.Errorf("fill the database that others are copied from: %w", err)
		}
		return name, nil
	})
	return func(tb testing.TB) string {
		tb.Helper()
		s, err := shared()
		if err != nil {
			tb.Fatalf("pgtest: %v", err)
		}
		if s.server == nil {
			return s.filled(tb, fill)
		}
		name, err := template()
		if err != nil {
			tb.Fatalf("pgtest: %v", err)
		}
		return s.database(tb, name)
	}
}

// filled makes a database and fills it.
func (s source) filled(tb testing.TB, fill func(url string) error) string {
	tb.Helper()
	url := s.database(tb, empty)
	if err := fill(url); err != nil {
		tb.Fatalf("pgtest: fill a database: %v", err)
	}
	return url
}

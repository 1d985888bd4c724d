package pgtest

import (
	"sync"
	"testing"
)

// URL returns the URL of a new, empty database, which is dropped when tb ends,
// whoever is still connected. The first call of a process starts the server,
// which takes a second or two. Safe for concurrent use.
func URL(tb testing.TB) string {
	tb.Helper()
	s, err := shared()
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	return s.database(tb, empty)
}

// database makes a database that is dropped when tb ends, and returns its URL.
func (s source) database(tb testing.TB, template string) string {
	tb.Helper()
	name, err := createDatabase(s.admin, tb.Name(), template)
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(func() {
		if err := dropDatabase(s.admin, name); err != nil {
			tb.Errorf("pgtest: %v", err)
		}
	})
	return withDatabase(s.admin, name)
}

// source is where the databases of [URL] are made.
type source struct {
	admin  string  // URL of a database that exists, as a role that may create others
	server *server // ours, kept so that the pipe to its watchdog stays open; nil when admin was given to us
}

// shared is the process's source, sought when it is first asked for. What it
// says then, it says until the process ends.
var shared = sync.OnceValues(func() (source, error) {
	env := machine()
	if given := env.getenv(urlVariable); given != "" {
		return source{admin: given}, checkURL(given)
	}
	bin, err := env.binaries()
	if err != nil {
		return source{}, err
	}
	s, err := newServer(bin, forgetful)
	if err != nil {
		return source{}, err
	}
	return source{admin: s.url("postgres"), server: s}, nil
})

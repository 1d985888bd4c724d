package postgres

import (
	"context"
	"sync"
	"testing"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/pgtest"
	"github.com/claudemesh/broker/core/store/storetest"
)

// tampered is a store whose rows the suite can change behind its back.
type tampered struct{ *Store }

func (s tampered) Exec(query string) error {
	_, err := s.pool.Exec(context.Background(), query)
	return err
}

// opener opens the same new database for one test again and again.
func opener() func(t *testing.T) tampered {
	var (
		mu   sync.Mutex
		urls = make(map[string]string)
	)
	return func(t *testing.T) tampered {
		t.Helper()
		mu.Lock()
		url := urls[t.Name()]
		if url == "" {
			url = pgtest.URL(t)
			urls[t.Name()] = url
		}
		mu.Unlock()
		return tampered{mustOpen(t, Options{URL: url, Durability: Process, Migrate: true})}
	}
}

func TestStore(t *testing.T) {
	open := opener()
	storetest.Run(t, func(t *testing.T) store.Store { t.Helper(); return open(t) })
}

// mustOpen opens a store that the caller closes.
func mustOpen(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fresh opens a store, in a new database unless the options name one; it is
// closed with the test.
func fresh(t testing.TB, o Options) *Store {
	t.Helper()
	if o.URL == "" {
		o.URL = pgtest.URL(t)
	}
	o.Migrate = true
	s := mustOpen(t, o)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestShared(t *testing.T) {
	open := opener()
	storetest.RunShared(t, func(t *testing.T) storetest.SharedStore { t.Helper(); return open(t) })
}

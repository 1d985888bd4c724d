package sqlite_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/freshtest"
	"github.com/claudemesh/broker/core/store/sqlite"
	"github.com/claudemesh/broker/core/store/storetest"
)

// tampered is a store whose rows the suite can change behind its back.
type tampered struct {
	*sqlite.Store
	path string
}

func (s tampered) Exec(query string) error {
	db, err := sql.Open("sqlite", "file:"+s.path+"?_busy_timeout=5000")
	if err != nil {
		return err
	}
	_, err = db.Exec(query)
	return errors.Join(err, db.Close())
}

func TestStore(t *testing.T) {
	var (
		mu    sync.Mutex
		paths = make(map[string]string)
	)
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		mu.Lock()
		path := paths[t.Name()]
		if path == "" {
			path = filepath.Join(t.TempDir(), "broker.db")
			paths[t.Name()] = path
		}
		mu.Unlock()
		return open(t, path)
	})
}

func TestImport(t *testing.T) {
	storetest.RunImport(t, func(t *testing.T) store.Store {
		t.Helper()
		return open(t, filepath.Join(t.TempDir(), "broker.db"))
	})
}

// open opens the store at path, which the caller closes.
func open(t *testing.T, path string) store.Store {
	t.Helper()
	freshtest.File(t, path)
	st, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, Durability: sqlite.Process})
	if err != nil {
		t.Fatal(err)
	}
	return tampered{st, path}
}

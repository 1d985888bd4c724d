package freshtest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/claudemesh/broker/core/store/sqlite"
)

// Path returns the path of a new store's file, which is gone when tb ends.
func Path(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "broker.db")
	File(tb, path)
	return path
}

// File puts the file of a store at path, to be opened there. A file that is
// there is left as it is, so that a test may come by again. Safe for concurrent
// use with paths that differ.
func File(tb testing.TB, path string) {
	tb.Helper()
	content, err := migrated()
	if err != nil {
		tb.Fatalf("freshtest: %v", err)
	}
	if err := create(path, content); err != nil {
		tb.Fatalf("freshtest: %v", err)
	}
}

// create writes a file unless there is one, for its owner only, as
// [sqlite.Open] would.
func create(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// migrated is a store's file. A store that is closed has no log beside it.
var migrated = sync.OnceValues(func() (content []byte, err error) {
	dir, err := os.MkdirTemp("", "freshtest")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "broker.db")
	st, err := sqlite.Open(context.Background(), sqlite.Options{Path: path, Durability: sqlite.Process})
	if err != nil {
		return nil, err
	}
	if err := st.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/storetest"
)

func TestImport(t *testing.T) {
	storetest.RunImport(t, func(t *testing.T) store.Store {
		t.Helper()
		return mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "broker.db"), Durability: Process})
	})
}

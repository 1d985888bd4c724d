package postgres

import (
	"testing"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/storetest"
)

func TestImport(t *testing.T) {
	d := newDatabases(t)
	storetest.RunImport(t, func(t *testing.T) store.Store { t.Helper(); return d.open(t) })
}

package app

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/claudemesh/broker/core/meshsql"
	"github.com/claudemesh/broker/core/meshsql/lite"
	"github.com/claudemesh/broker/core/store/sqlite"
)

// A broker that stops promises nothing: what its end cuts off is not tried again.
func TestNoPromiseWhileStopping(t *testing.T) {
	t.Parallel()
	st, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "broker.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	databases, err := lite.Open(t.TempDir(), meshsql.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { databases.Close() })
	var log bytes.Buffer
	a := &App{log: slog.New(slog.NewTextHandler(&log, nil)), options: Options{Store: st, SQL: databases}}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	a.dropSQL(ctx)
	if log.Len() > 0 {
		t.Errorf("a stop logged %s", &log)
	}
}

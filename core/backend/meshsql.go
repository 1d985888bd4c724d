package backend

import (
	"cmp"
	"context"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/meshsql"
	"github.com/claudemesh/broker/core/meshsql/lite"
	"github.com/claudemesh/broker/core/meshsql/pg"
)

// MeshSQLName is the directory, in the data directory, of the databases of meshes.
const MeshSQLName = "mesh-sql"

// Limits of mesh SQL that no operator has to change.
const (
	sqlWait    = 1500 * time.Millisecond // with the statement's own 3 s less than the 5 s that clients wait
	sqlAnswer  = 1 << 20                 // bytes of JSON: an answer has to fit into an outbox, beside what waits there
	sqlPending = 4                       // of one member
)

// OpenMeshSQL opens the databases of meshes that a config selects. It returns nil
// when it wants none, and when there is no place for them.
func OpenMeshSQL(ctx context.Context, c config.Config) (meshsql.Engine, error) {
	m := c.MeshSQL
	limits := meshsql.Limits{
		Time: m.StatementTimeout, Wait: sqlWait, Rows: m.Rows, Bytes: sqlAnswer, MeshBytes: int64(m.MeshBytes),
		Statements: m.Statements, Pending: sqlPending,
	}
	at := cmp.Or(m.URL.Reveal(), c.Store.URL.Reveal())
	switch {
	case !m.Enabled, at == "" && c.DataDir == "":
		return nil, nil //nolint:nilnil // there is none
	case at == "":
		return lite.Open(filepath.Join(c.DataDir, MeshSQLName), limits)
	}
	broker := ""
	if c.Store.URL != "" {
		parsed, err := pgx.ParseConfig(c.Store.URL.Reveal())
		if err == nil {
			broker = parsed.Database
		}
	}
	return pg.Open(ctx, pg.Options{
		URL: at, Broker: broker, Prefix: m.Prefix, Template: m.Template, Databases: m.Databases,
		ConnectTimeout: c.Store.ConnectTimeout, Limits: limits,
	})
}

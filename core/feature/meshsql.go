package feature

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/meshsql"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Reasons of what a database refuses. The text has its own words.
const (
	ReasonQuery   sdk.Reason = "query_error"
	ReasonExecute sdk.Reason = "execute_error"
	ReasonSchema  sdk.Reason = "schema_error"
)

// tablesTime is how long mesh_info waits for the names of tables. Without them it
// has an empty list, as the original has.
const tablesTime = time.Second

// MeshSQL gives each mesh a database; engine is nil where the operator wants none.
func MeshSQL(r *Registry, engine meshsql.Engine) {
	m := &meshSQL{engine: engine}
	refused := func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.MeshQueryResult{Columns: []string{}, Rows: []jsontext.Value{}, Error: worded(why, text)}
	}
	On(r, m.query).RefuseWith(refused)
	e := On(r, m.execute).Needs(store.CanWriteState)
	e.RefuseWith(refused)
	On(r, m.schema).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.MeshSchemaResult{Tables: []wire.MeshTable{}, Error: worded(why, text)}
	})
	r.Inform(m.inform)
}

type meshSQL struct{ engine meshsql.Engine }

// query asks, and changes nothing.
func (m *meshSQL) query(ctx context.Context, c *Call, q *wire.MeshQuery) (wire.MeshQueryResult, error) {
	return m.run(ctx, c, q.SQL, false, ReasonQuery)
}

// execute changes something. The log keeps what a statement hashes to: a statement
// has values in it that somebody may have to delete one day.
func (m *meshSQL) execute(ctx context.Context, c *Call, x *wire.MeshExecute) (wire.MeshQueryResult, error) {
	answer, err := m.run(ctx, c, x.SQL, true, ReasonExecute)
	if err == nil {
		sum := sha256.Sum256([]byte(x.SQL))
		c.Env.Records = append(c.Env.Records, sdk.Record{Event: "mesh_executed", Payload: audit.Object(
			audit.String("rows", strconv.FormatInt(answer.RowCount, 10)), audit.String("sqlSha256", hex.EncodeToString(sum[:])))})
	}
	return answer, err
}

func (m *meshSQL) run(ctx context.Context, c *Call, sql string, writes bool, failed sdk.Reason) (wire.MeshQueryResult, error) {
	if m.engine == nil {
		return wire.MeshQueryResult{}, noMeshSQL()
	}
	r, err := m.engine.Run(ctx, meshsql.Ask{Mesh: c.Env.Mesh, Member: c.Env.Sender.MemberID, SQL: sql, Writes: writes})
	if err != nil {
		return wire.MeshQueryResult{}, sqlRefusal(err, failed)
	}
	return wire.MeshQueryResult{Columns: r.Columns, Rows: r.Rows, RowCount: r.RowCount, Truncated: r.Truncated}, nil
}

// schema lists tables.
func (m *meshSQL) schema(ctx context.Context, c *Call, _ *wire.MeshSchema) (wire.MeshSchemaResult, error) {
	if m.engine == nil {
		return wire.MeshSchemaResult{}, noMeshSQL()
	}
	tables, err := m.engine.Schema(ctx, c.Env.Mesh)
	if err != nil {
		return wire.MeshSchemaResult{}, sqlRefusal(err, ReasonSchema)
	}
	answer := wire.MeshSchemaResult{Tables: make([]wire.MeshTable, len(tables))}
	for i, t := range tables {
		answer.Tables[i] = wire.MeshTable{Name: t.Name, Columns: make([]wire.MeshColumn, len(t.Columns))}
		for j, col := range t.Columns {
			answer.Tables[i].Columns[j] = wire.MeshColumn{Name: col.Name, Type: col.Type, Nullable: col.Nullable}
		}
	}
	return answer, nil
}

// inform tells mesh_info the names of tables. That there are none is better than
// no overview at all.
func (m *meshSQL) inform(ctx context.Context, c *Call, info *wire.MeshInfoResult) error {
	if m.engine == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, tablesTime)
	defer cancel()
	tables, err := m.engine.Schema(ctx, c.Env.Mesh)
	if err != nil {
		return nil //nolint:nilerr // see above; a mesh_schema says what is wrong
	}
	for _, t := range tables {
		info.Tables = append(info.Tables, t.Name)
	}
	return nil
}

func noMeshSQL() error {
	return core.Refuse(ReasonNotAvailable, "mesh SQL is not enabled on this broker: its operator can set mesh_sql.enabled")
}

// sqlRefusal turns an engine's error into a refusal. Failed is for what the
// database itself refuses.
func sqlRefusal(err error, failed sdk.Reason) error {
	e := meshsql.Refused(err)
	if e == nil {
		return core.Unavailable(err)
	}
	why := map[meshsql.Kind]sdk.Reason{
		meshsql.Failed: failed, meshsql.Full: sdk.ReasonCapacity, meshsql.Busy: sdk.ReasonRateLimit, meshsql.Off: ReasonNotAvailable,
	}[e.Kind]
	return &core.Error{Code: why, Message: e.Text, Err: e.Err}
}

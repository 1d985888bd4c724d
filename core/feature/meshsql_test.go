package feature

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claudemesh/broker/core/meshsql"
	"github.com/claudemesh/broker/core/meshsql/lite"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

// sqlRegistry returns a registry with mesh SQL on files in dir.
func (r *rig) sqlRegistry(dir string) *Registry {
	r.t.Helper()
	engine, err := lite.Open(dir, meshsql.Limits{
		Time: time.Second, Wait: 10 * time.Second, Rows: 100, Bytes: 1 << 20, MeshBytes: 8 << 20, Statements: 2, Pending: 4,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return r.sqlOn(engine)
}

func (r *rig) sqlOn(engine meshsql.Engine) *Registry {
	return All(Deps{
		Directory: r.dir, Engine: r.engine, Roster: r.roster, Store: r.store, Sessions: r, Announcer: announcer{r}, SQL: engine,
	})
}

func TestMeshSQL(t *testing.T) {
	r := newRig(t)
	reg := r.sqlRegistry(t.TempDir())
	ada, bo := r.join("ada"), r.join("bo")
	ask := func(p *peer, frame, want string) {
		t.Helper()
		got, _ := p.askOf(reg, frame)
		wantText(t, got, want)
	}
	const empty = `"columns":[],"rows":[],"rowCount":0`
	ask(bo, `{"type":"mesh_schema","_reqId":"s"}`, `{"type":"mesh_schema_result","_reqId":"s","tables":[]}`)
	ask(bo, `{"type":"mesh_query","sql":"SELECT 1","_reqId":"q"}`,
		`{"type":"mesh_query_result","_reqId":"q",`+empty+`,"error":"query_error: the mesh has no tables yet: make one with mesh_execute"}`)
	ask(bo, `{"type":"mesh_execute","sql":"CREATE TABLE w (id INTEGER PRIMARY KEY, t TEXT)"}`, `{"type":"mesh_query_result",`+empty+`}`)
	ask(ada, `{"type":"mesh_execute","sql":"INSERT INTO w VALUES (1, 'plum'), (2, NULL)"}`, `{"type":"mesh_query_result","columns":[],"rows":[],"rowCount":2}`)
	ask(bo, `{"type":"mesh_query","sql":"SELECT * FROM w","_reqId":1}`,
		`{"type":"mesh_query_result","_reqId":1,"columns":["id","t"],"rows":[{"id":1,"t":"plum"},{"id":2,"t":null}],"rowCount":2}`)
	ask(bo, `{"type":"mesh_schema"}`, `{"type":"mesh_schema_result","tables":[{"name":"w","columns":[{"name":"id","type":"INTEGER","nullable":false},{"name":"t","type":"TEXT","nullable":true}]}]}`)
	ask(bo, `{"type":"mesh_execute","sql":"INSERT INTO w VALUES (1, 'again')"}`,
		`{"type":"mesh_query_result",`+empty+`,"error":"execute_error: constraint failed: UNIQUE constraint failed: w.id"}`)
	ask(bo, `{"type":"mesh_query"}`, `{"type":"mesh_query_result",`+empty+`,"error":"invalid: sql: is required: want a string"}`)
	ask(bo, `{"type":"mesh_query","sql":7}`, `{"type":"mesh_query_result",`+empty+`,"error":"invalid: sql: want a string"}`)
	info, _ := bo.askOf(reg, `{"type":"mesh_info"}`)
	if !strings.Contains(info, `"tables":["w"]`) {
		t.Errorf("mesh_info has no table: %s", info)
	}
}

// Who may not write state may ask, and no more.
func TestMeshSQLNeedsPermission(t *testing.T) {
	r := newRig(t)
	reg := r.sqlRegistry(t.TempDir())
	ada, bo := r.join("ada"), r.join("bo")
	if got, _ := ada.askOf(reg, `{"type":"mesh_execute","sql":"CREATE TABLE n AS SELECT 1 AS i"}`); strings.Contains(got, "error") {
		t.Fatal(got)
	}
	if _, err := r.store.ChangeMember(t.Context(), r.members["bo"].ID, func(m *store.Member) error {
		m.Permissions = store.Permissions{store.CanWriteState: false}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	r.roster.Forget(r.members["bo"].ID)
	got, records := bo.askOf(reg, `{"type":"mesh_execute","sql":"DROP TABLE n"}`)
	if !strings.Contains(got, `"error":"forbidden: you do not have the permission canWriteState`) || len(records) > 0 {
		t.Error(got, records)
	}
	if got, _ := bo.askOf(reg, `{"type":"mesh_query","sql":"DROP TABLE n"}`); !strings.Contains(got, "query_error: mesh_query only reads") {
		t.Error(got)
	}
	if got, _ := bo.askOf(reg, `{"type":"mesh_query","sql":"SELECT * FROM n"}`); !strings.Contains(got, `[{"i":1}]`) {
		t.Error(got)
	}
}

// The log has what a statement hashes to, when it was done, and not the statement.
func TestMeshSQLIsAudited(t *testing.T) {
	r := newRig(t)
	reg := r.sqlRegistry(t.TempDir())
	ada := r.join("ada")
	const sql = "CREATE TABLE n AS SELECT 'plum' AS t"
	_, records := ada.askOf(reg, `{"type":"mesh_execute","sql":"`+sql+`"}`)
	sum := sha256.Sum256([]byte(sql))
	wantList(t, "records", recorded(records), []string{`mesh_executed {"rows":"0","sqlSha256":"` + hex.EncodeToString(sum[:]) + `"}`})
	for _, frame := range []string{`{"type":"mesh_execute","sql":"CREATE TABLE n AS SELECT 1"}`, `{"type":"mesh_query","sql":"SELECT * FROM n"}`} {
		if _, records := ada.askOf(reg, frame); len(records) > 0 {
			t.Errorf("%s leaves %q", frame, recorded(records))
		}
	}
}

// engineOf answers everything with one error.
type engineOf struct{ err error }

func (e engineOf) Run(context.Context, meshsql.Ask) (*meshsql.Result, error) { return nil, e.err }
func (e engineOf) Schema(context.Context, string) ([]meshsql.Table, error)   { return nil, e.err }
func (e engineOf) Drop(context.Context, string) error                        { return e.err }
func (engineOf) Close() error                                                { return nil }

func TestMeshSQLRefusals(t *testing.T) {
	r := newRig(t)
	ada := r.join("ada")
	for name, tt := range map[string]struct {
		engine meshsql.Engine
		want   string
	}{
		"off":     {nil, "not_available: mesh SQL is not enabled"},
		"away":    {engineOf{errAway}, "unavailable: "},
		"full":    {engineOf{meshsql.TooMuch(7)}, "capacity: the database of the mesh may have 7 bytes"},
		"busy":    {engineOf{meshsql.TooBusy()}, "other statements run"},
		"unready": {engineOf{&meshsql.Error{Kind: meshsql.Off, Text: "read docs/mesh-sql.md", Err: errors.New("10.0.0.7")}}, "not_available: read docs/mesh-sql.md"},
	} {
		reg := r.sqlOn(tt.engine)
		for _, typ := range []string{"mesh_query", "mesh_execute", "mesh_schema"} {
			got, _ := ada.askOf(reg, `{"type":"`+typ+`","sql":"SELECT 1","_reqId":"x"}`)
			if !strings.Contains(got, tt.want) || !strings.Contains(got, `"_reqId":"x"`) || strings.Contains(got, "10.0.0.7") {
				t.Errorf("%s: %s: got %s", name, typ, got)
			}
		}
		if got, _ := ada.askOf(reg, `{"type":"mesh_info"}`); !strings.Contains(got, `"tables":[]`) {
			t.Errorf("%s: mesh_info: got %s", name, got)
		}
	}
}

// Whatever the request is, there is one answer, which is a frame, and the broker's
// own database is as it was.
func TestMeshSQLProperties(t *testing.T) {
	r := newRig(t)
	reg := r.sqlRegistry(t.TempDir())
	ada := r.join("ada")
	types := rapid.SampledFrom([]string{"mesh_query", "mesh_execute", "mesh_schema"})
	rapid.Check(t, func(rt *rapid.T) {
		sql := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
			"SELECT 1", "SELECT * FROM member", "ATTACH 'broker.db' AS b", "CREATE TABLE IF NOT EXISTS n (i)", "INSERT INTO n VALUES (1) RETURNING i",
			"SELECT * FROM sqlite_master", "DROP TABLE IF EXISTS n", "PRAGMA database_list", "VACUUM INTO 'x'",
		})).Draw(rt, "sql")
		got, _ := ada.askOf(reg, `{"type":"`+types.Draw(rt, "type")+`","sql":`+quoted(sql)+`}`)
		if _, err := wire.Peek([]byte(got)); err != nil {
			rt.Fatalf("%q: %v: %s", sql, err, got)
		}
	})
	if m, err := r.store.Mesh(t.Context(), r.mesh.ID); err != nil || m.ID != r.mesh.ID {
		t.Error(m, err)
	}
}

package app_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/bus/local"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/pgtest"
)

// onFiles gives meshes a database in a directory.
func onFiles(dir string) func(*config.Config) {
	return func(c *config.Config) { c.DataDir = dir }
}

// onServer gives meshes a database on a server, under a name that no other test has.
func onServer(t *testing.T, url string) func(*config.Config) {
	t.Helper()
	_, database, _ := strings.Cut(url, "/pgtest_")
	return func(c *config.Config) {
		c.MeshSQL.URL, c.MeshSQL.Prefix = config.Secret(url), "m"+strings.ToLower(database[:13])
	}
}

// sql asks in SQL, and returns the rows of the answer, or why there are none.
func (s *socket) sql(typ, text string) string {
	s.t.Helper()
	frame, err := json.Marshal(map[string]string{"type": typ, "sql": text, "_reqId": "sql"})
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(string(frame))
	var answer struct {
		Rows     json.RawMessage
		RowCount int
		Error    string
	}
	if err := json.Unmarshal([]byte(s.wantFrame("mesh_query_result")), &answer); err != nil {
		s.t.Fatal(err)
	}
	if answer.Error != "" {
		return answer.Error
	}
	return string(answer.Rows)
}

// executes runs a statement that has to work.
func (s *socket) executes(text string) {
	s.t.Helper()
	if got := s.sql("mesh_execute", text); !strings.HasPrefix(got, "[") {
		s.t.Fatalf("%s: %s", text, got)
	}
}

func TestMeshSQLTranscript(t *testing.T) {
	const file = "testdata/mesh_sql.txt"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, begin := range map[string]func(*testing.T) *rig{
		"sqlite":   func(t *testing.T) *rig { return newRig(t, onFiles(t.TempDir())) },
		"postgres": func(t *testing.T) *rig { return newNodes(t, 1, onServer(t, pgtest.URL(t))).list[0] },
	} {
		t.Run(name, func(t *testing.T) {
			p := &play{t: t, r: begin(t), file: file, peers: map[string]*actor{}, bound: map[string]string{}}
			dropAtEnd(t, p.r)
			for at, line := range strings.Split(string(text), "\n") {
				p.at = at
				p.line(line)
			}
			p.end()
		})
	}
}

// dropAtEnd deletes the mesh's database while the broker runs.
func dropAtEnd(t *testing.T, r *rig) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := r.sql.Drop(ctx, r.mesh.ID); err != nil {
			t.Error(err)
		}
	})
}

func TestMeshSQLCrossesNodes(t *testing.T) {
	n := newNodes(t, 2, onServer(t, pgtest.URL(t)))
	a, b := n.both()
	ada, bo := a.joined(a.member("ada", store.RoleMember)), b.joined(b.member("bo", store.RoleMember))
	ada.executes("CREATE TABLE n (i INTEGER)")
	bo.executes("INSERT INTO n VALUES (1)")
	ada.executes("INSERT INTO n VALUES (2)")
	if got := bo.sql("mesh_query", "SELECT sum(i) AS s FROM n"); got != `[{"s":3}]` {
		t.Error(got)
	}
	bo.write(`{"type":"mesh_info"}`)
	if got := bo.wantFrame("mesh_info_result"); !strings.Contains(got, `"tables":["n"]`) {
		t.Error(got)
	}
	if err := a.sql.Drop(t.Context(), a.mesh.ID); err != nil {
		t.Error(err)
	}
	if got := bo.sql("mesh_query", "SELECT 1"); !strings.Contains(got, "no tables yet") {
		t.Error(got)
	}
}

func TestMeshSQLOutlivesARestart(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "broker.db")
	before := start(t, path, onFiles(dir))
	before.newMesh()
	id := before.member("ada", store.RoleMember)
	before.joined(id).executes("CREATE TABLE n AS SELECT 7 AS i")
	before.stop()
	after := start(t, path, onFiles(dir))
	after.mesh, after.owner = before.mesh, before.owner
	if got := after.joined(id).sql("mesh_query", "SELECT * FROM n"); got != `[{"i":7}]` {
		t.Error(got)
	}
}

// The database of a mesh goes with it, also when the broker did not run then.
func TestMeshSQLIsDroppedWithItsMesh(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "broker.db")
	before := start(t, path, onFiles(dir))
	before.newMesh()
	before.joined(before.member("ada", store.RoleMember)).executes("CREATE TABLE n AS SELECT 7 AS i")
	files := func() []string {
		list, err := filepath.Glob(filepath.Join(dir, "mesh-sql", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if len(files()) != 1 {
		t.Fatal(files())
	}
	if _, err := before.store.ChangeMesh(t.Context(), before.mesh.ID, func(m *store.Mesh) error {
		m.ArchivedAt = time.Now()
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	before.stop()
	start(t, path, onFiles(dir))
	for deadline := time.Now().Add(10 * time.Second); len(files()) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(files())
		}
	}
}

// sqlBeside starts a broker whose meshes have their databases on the store's own
// server, the closest that there is.
func sqlBeside(t *testing.T) *rig {
	t.Helper()
	url := pgtest.URL(t)
	n := &nodes{net: local.NewExchange()}
	n.add(t, url, onServer(t, url))
	r := n.list[0]
	r.newMesh()
	dropAtEnd(t, r)
	return r
}

// Flaw 1: any member reads and writes the whole database.
func TestFlawExt01SQLStaysInItsMesh(t *testing.T) {
	r := sqlBeside(t)
	ada := r.joined(r.member("ada", store.RoleMember))
	ada.executes("CREATE TABLE stolen (t TEXT)")
	for _, text := range []string{
		"SELECT owner_secret FROM broker.mesh", "INSERT INTO stolen SELECT owner_secret FROM broker.mesh", "SELECT * FROM public.mesh",
		"SELECT * FROM mesh.member", "UPDATE broker.member SET role = 'admin'", "SET  /**/ ROLE postgres", "SET search_path = broker",
		"SELECT * FROM pg_authid", "DROP SCHEMA broker CASCADE", "GRANT ALL ON SCHEMA broker TO PUBLIC",
	} {
		for _, typ := range []string{"mesh_query", "mesh_execute"} {
			if got := ada.sql(typ, text); text != "SET search_path = broker" && !strings.Contains(got, "_error: ") {
				t.Errorf("%s %s: %s", typ, text, got)
			}
		}
	}
	if got := ada.sql("mesh_query", "SELECT 'grant, revoke, set role' AS t"); !strings.Contains(got, "revoke") {
		t.Errorf("words in a literal are refused: %s", got)
	}
}

// Flaw 2: COMMIT and session settings poison the connections of everybody.
func TestFlawExt02SQLPoisonsNoConnection(t *testing.T) {
	r := sqlBeside(t)
	ada, bo := r.joined(r.member("ada", store.RoleMember)), r.joined(r.member("bo", store.RoleMember))
	ada.executes("CREATE TABLE n AS SELECT 7 AS i")
	for _, text := range []string{
		"COMMIT", "COMMIT; SET statement_timeout = 1", "SET statement_timeout = 1", "SET search_path = nowhere", "SET default_transaction_read_only = on",
		"ALTER ROLE CURRENT_USER SET search_path = nowhere", "ALTER ROLE CURRENT_USER SET statement_timeout = 1",
	} {
		ada.sql("mesh_execute", text)
		if got := bo.sql("mesh_query", "SELECT * FROM n"); got != `[{"i":7}]` {
			t.Errorf("after %s: %s", text, got)
		}
		bo.write(`{"type":"list_state"}`) // the broker's own connections
		bo.wantFrame("state_list")
	}
}

// Flaw 34: mesh_query returns no rows, ever, and mesh_execute reports 0.
func TestFlawExt34SQLHasRows(t *testing.T) {
	r := newRig(t, onFiles(t.TempDir()))
	ada := r.joined(r.member("ada", store.RoleMember))
	ada.executes("CREATE TABLE n (i INTEGER)")
	ada.write(`{"type":"mesh_execute","sql":"INSERT INTO n VALUES (1), (2)","_reqId":"a"}`)
	if got := ada.wantFrame("mesh_query_result"); !strings.Contains(got, `"rowCount":2`) {
		t.Error(got)
	}
	ada.write(`{"type":"mesh_query","sql":"SELECT i FROM n","_reqId":"b"}`)
	if got := ada.wantFrame("mesh_query_result"); !strings.Contains(got, `"columns":["i"],"rows":[{"i":1},{"i":2}],"rowCount":2`) {
		t.Error(got)
	}
}

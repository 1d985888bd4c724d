package adopt

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store/pgtest"
	"github.com/claudemesh/broker/core/store/sqlite"
)

// now is when the import runs.
var now = time.Date(2026, 4, 20, 12, 0, 0, 0, time.UTC)

// week is how long a message waits.
const week = 7 * 24 * time.Hour

// rig is one original database and one store.
type rig struct {
	*testing.T
	url   string
	from  *pgx.Conn // the original, to change it
	store *sqlite.Store
	path  string
	keys  *identity.AtRest
}

// newRig makes the database of testdata/original.sql, with its logs.
func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{T: t, url: pgtest.URL(t), path: filepath.Join(t.TempDir(), "broker.db"), keys: identity.NewAtRest([32]byte{1})}
	conn, err := pgx.Connect(t.Context(), r.url)
	r.must(err)
	t.Cleanup(func() { conn.Close(t.Context()) })
	r.from = conn
	r.exec(fixture(t))
	for i, c := range readVectors(t).Audit.Chains[:2] {
		for n, row := range c.Rows {
			r.exec(insertAudit, 10*(i+1)+2*n, c.MeshID, row.EventType, row.Actor, row.Name, row.Payload,
				row.CreatedAt.UTC().Format(timeLayout), row.Prev, row.Hash)
		}
	}
	st, err := sqlite.Open(t.Context(), sqlite.Options{Path: r.path, Durability: sqlite.Process})
	r.must(err)
	t.Cleanup(func() { st.Close() })
	r.store = st
	return r
}

const insertAudit = `INSERT INTO mesh.audit_log
	(id, mesh_id, event_type, actor_member_id, actor_display_name, payload, created_at, prev_hash, hash)
	OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7::text::timestamp, $8, $9)`

// fixture is testdata/original.sql with what the vectors give.
func fixture(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("testdata/original.sql")
	if err != nil {
		t.Fatal(err)
	}
	v := readVectors(t)
	var secret string
	for _, k := range v.Keys {
		if k.Label == "owner" {
			secret = k.Secret
		}
	}
	return strings.NewReplacer(":'owner_secret'", "'"+secret+"'", ":'capability'", "'"+v.InviteV2[0].Capability+"'").Replace(string(text))
}

// vectors are what the tests take from package identity's and audit's.
type vectors struct {
	Keys []struct {
		Label  string `json:"label"`
		Secret string `json:"secret64_hex"`
	} `json:"keys"`
	InviteV2 []struct {
		Capability string `json:"stored_capability"`
	} `json:"invite_v2"`
	Audit struct {
		Chains []struct {
			MeshID string `json:"mesh_id"`
			Rows   []struct {
				EventType string    `json:"event_type"`
				Actor     *string   `json:"actor_member_id"`
				Name      *string   `json:"actor_display_name"`
				Payload   string    `json:"payload_json"`
				CreatedAt time.Time `json:"created_at"`
				Prev      string    `json:"prev_hash"`
				Hash      string    `json:"hash"`
			} `json:"rows"`
		} `json:"chains"`
	} `json:"audit"`
}

func readVectors(t *testing.T) (v vectors) {
	t.Helper()
	for _, file := range []string{"../identity/testdata/vectors.json", "../audit/testdata/vectors.json"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// exec changes the original.
func (r *rig) exec(query string, args ...any) {
	r.Helper()
	_, err := r.from.Exec(r.Context(), query, args...)
	if err != nil {
		r.Fatalf("%v in %s", err, query)
	}
}

// append writes an entry behind a mesh's log in the original, as it does
// itself; hashed is the payload that the hash is made of.
func (r *rig) append(id int64, mesh, event, payload, hashed string) {
	r.Helper()
	e := &audit.Entry{MeshID: mesh, EventType: event, Payload: []byte(hashed), CreatedAt: now.Add(time.Duration(id) * time.Second), PrevHash: audit.Genesis}
	err := r.from.QueryRow(r.Context(), `SELECT hash FROM mesh.audit_log WHERE mesh_id = $1 ORDER BY id DESC LIMIT 1`, mesh).Scan(&e.PrevHash)
	if err != nil && err != pgx.ErrNoRows { //nolint:errorlint // pgx returns it as it is
		r.Fatal(err)
	}
	r.exec(insertAudit, id, mesh, event, nil, nil, payload, e.CreatedAt.Format(timeLayout), e.PrevHash, e.ComputeHash())
}

// run imports at some time.
func (r *rig) run(at time.Time, change ...func(*Options)) *Report {
	r.Helper()
	report, err := r.try(at, change...)
	r.must(err)
	return report
}

func (r *rig) try(at time.Time, change ...func(*Options)) (*Report, error) {
	r.Helper()
	src, err := Open(r.Context(), r.url)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	o := Options{ExpireAfter: week, Keys: r.keys, Now: at}
	for _, f := range change {
		f(&o)
	}
	return Run(r.Context(), src, r.store, o)
}

// mesh returns one mesh's report.
func (r *rig) mesh(report *Report, id string) MeshReport {
	r.Helper()
	for _, m := range report.Meshes {
		if m.ID == id {
			return m
		}
	}
	r.Fatalf("mesh %s is not in the report", id)
	return MeshReport{}
}

// wantNote wants rows to be named under a reason that has these words.
func (r *rig) wantNote(m MeshReport, kind, words string, ids ...string) {
	r.Helper()
	for _, n := range m.Notes {
		if n.Kind == kind && strings.Contains(n.Why, words) {
			same(r.T, n.IDs, append([]string{}, ids...))
			return
		}
	}
	r.Errorf("mesh %s has no note on a %s about %q:\n%+v", m.ID, kind, words, m.Notes)
}

func same[T any](t *testing.T, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("got (+), want (-):\n%s", diff)
	}
}

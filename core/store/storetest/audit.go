package storetest

import (
	"context"
	"fmt"
	"time"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
)

var audits = []test{
	{"an entry comes back as it was written, linked and hashed", auditRoundTrip},
	{"chains of several meshes go on across batches", auditChains},
	{"a page has the newest first, and counts all", auditPage},
	{"a page has one event's entries, or one member's", auditFilter},
	{"a stream may be left early, and ends with its context", auditStream},
	{"a chain that was never begun is valid and has no head", auditNone},
	{"an edited row is found", auditEdited},
	{"a removed row is found, at the end too", auditRemoved},
	{"a lost head is found, and does not stop the broker", auditHeadLost},
}

// entry is the n-th entry of a mesh.
func entry(mesh string, n int) *audit.Entry {
	return &audit.Entry{
		MeshID: mesh, EventType: []string{"message_sent", "peer_joined", "peer_left"}[n%3],
		ActorMemberID: []string{"ada", "bo"}[n%2], ActorName: "Ада 🦉",
		Payload:   fmt.Appendf(nil, `{"n":%d,"text":"größe <%d>"}`, n, n),
		CreatedAt: now().Add(time.Duration(n) * time.Millisecond),
	}
}

// entries are n entries of a mesh, from the first on.
func entries(mesh string, first, n int) (list []*audit.Entry) {
	for i := range n {
		list = append(list, entry(mesh, first+i))
	}
	return list
}

// chain reads a mesh's whole chain.
func (s *suite) chain(mesh string) (list []*audit.Entry) {
	s.Helper()
	for e, err := range s.AuditChain(s.ctx, mesh) {
		s.must(err)
		list = append(list, e)
	}
	return list
}

// wantVerdict checks a mesh's chain, by our own walk and by the store's.
func (s *suite) wantVerdict(mesh string, want audit.Result) {
	s.Helper()
	got, err := s.VerifyAudit(s.ctx, mesh)
	s.must(err)
	same(s, got, want)

	head, err := s.AuditHead(s.ctx, mesh)
	if err != nil {
		s.wantErr(err, store.ErrNotFound)
		head = &audit.Head{MeshID: mesh}
	}
	v := audit.NewVerifier(mesh)
	for _, e := range s.chain(mesh) {
		v.Add(e)
	}
	same(s, v.Finish(head), want)
}

func auditRoundTrip(s *suite) {
	full := entry("mesh", 1)
	full.CreatedAt = now().Add(999_999).In(time.FixedZone("east", 3600))
	bare := &audit.Entry{MeshID: "mesh", EventType: "reload", CreatedAt: now()}
	list := []*audit.Entry{full, bare}
	s.commit(store.Batch{Audit: list})
	if full.ID == 0 || bare.ID <= full.ID || full.PrevHash != audit.Genesis || bare.PrevHash != full.Hash {
		s.Errorf("not linked: %+v, %+v", full, bare)
	}
	if got := full.CreatedAt; !got.Equal(now()) {
		s.Errorf("got time %v, want whole milliseconds", got)
	}
	same(s, s.chain("mesh"), list)
	head, err := s.AuditHead(s.ctx, "mesh")
	s.must(err)
	same(s, head, &audit.Head{MeshID: "mesh", Hash: bare.Hash, Count: 2, LastID: bare.ID})
}

func auditChains(s *suite) {
	meshes := []string{"a", "b", "c"}
	var count [3]int
	for n := range 40 { // every batch has another mixture
		var b store.Batch
		for i := range n {
			m := (i*i + n) % 3
			b.Audit = append(b.Audit, entry(meshes[m], count[m]))
			count[m]++
		}
		s.commit(b)
	}
	for m, mesh := range meshes {
		s.wantVerdict(mesh, audit.Result{Valid: true, Entries: int64(count[m])})
		for n, e := range s.chain(mesh) {
			if want := string(entry(mesh, n).Payload); string(e.Payload) != want {
				s.Fatalf("entry %d of mesh %s: got %s, want %s", n, mesh, e.Payload, want)
			}
		}
	}
}

// wantPage compares a page with entries, newest first.
func (s *suite) wantPage(page []*audit.Entry, total int64, err error, wantTotal int64, want ...*audit.Entry) {
	s.Helper()
	s.must(err)
	same(s, page, want)
	if total != wantTotal {
		s.Errorf("got total %d, want %d", total, wantTotal)
	}
}

func auditPage(s *suite) {
	list := entries("mesh", 0, 10)
	s.commit(store.Batch{Audit: append(entries("other", 0, 3), list...)})

	page, total, err := s.AuditPage(s.ctx, "mesh", store.AuditMatch{}, 3, 0)
	s.wantPage(page, total, err, 10, list[9], list[8], list[7])
	page, total, err = s.AuditPage(s.ctx, "mesh", store.AuditMatch{}, 3, 8)
	s.wantPage(page, total, err, 10, list[1], list[0])
	page, total, err = s.AuditPage(s.ctx, "mesh", store.AuditMatch{}, 3, 20)
	s.wantPage(page, total, err, 10)
	page, total, err = s.AuditPage(s.ctx, "mesh", store.AuditMatch{}, 0, 0)
	s.wantPage(page, total, err, 10)
	page, total, err = s.AuditPage(s.ctx, "nowhere", store.AuditMatch{}, 3, 0)
	s.wantPage(page, total, err, 0)
}

func auditFilter(s *suite) {
	list := entries("mesh", 0, 12) // message_sent, ada and both: every 3rd, 2nd, 6th
	s.commit(store.Batch{Audit: append(entries("other", 0, 12), list...)})

	page, total, err := s.AuditPage(s.ctx, "mesh", store.AuditMatch{Event: "message_sent"}, 2, 1)
	s.wantPage(page, total, err, 4, list[6], list[3])
	page, total, err = s.AuditPage(s.ctx, "mesh", store.AuditMatch{Event: "unknown"}, 2, 0)
	s.wantPage(page, total, err, 0)
	page, total, err = s.AuditPage(s.ctx, "mesh", store.AuditMatch{Actor: "ada"}, 2, 1)
	s.wantPage(page, total, err, 6, list[8], list[6])
	page, total, err = s.AuditPage(s.ctx, "mesh", store.AuditMatch{Actor: "ada", Event: "message_sent"}, 5, 0)
	s.wantPage(page, total, err, 2, list[6], list[0])
	page, total, err = s.AuditPage(s.ctx, "mesh", store.AuditMatch{Event: "message_sent"}, 1, 0)
	s.wantPage(page, total, err, 4, list[9])
	page, total, err = s.AuditPage(s.ctx, "mesh", store.AuditMatch{Actor: "nobody"}, 5, 0)
	s.wantPage(page, total, err, 0)
}

func auditStream(s *suite) {
	s.commit(store.Batch{Audit: entries("mesh", 0, 500)})
	for range 20 { // more often than there are connections
		n := 0
		for _, err := range s.AuditChain(s.ctx, "mesh") {
			s.must(err)
			if n++; n == 3 {
				break
			}
		}
	}
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	var last error
	for _, err := range s.AuditChain(ctx, "mesh") {
		last = err
	}
	s.wantErr(last, context.Canceled)
}

func auditNone(s *suite) {
	_, err := s.AuditHead(s.ctx, "mesh")
	s.wantErr(err, store.ErrNotFound)
	s.wantVerdict("mesh", audit.Result{Valid: true})
}

// exec changes rows behind the store's back, or skips the test.
func (s *suite) exec(query string) {
	s.Helper()
	db, ok := s.Store.(SQL)
	if !ok {
		s.Skip("this engine's test offers no SQL")
	}
	s.must(db.Exec(query))
}

func auditEdited(s *suite) {
	for column, value := range map[string]string{
		"payload": `'{"n":7}'`, "event_type": "'nothing'", "actor_member_id": "'eve'", "hash": "'00'",
		"created_at": "(SELECT max(created_at) FROM audit_log)",
	} {
		list := entries(column, 0, 9)
		s.commit(store.Batch{Audit: list})
		s.exec(fmt.Sprintf(`UPDATE audit_log SET %s = %s WHERE mesh_id = '%s' AND id = %d`,
			column, value, column, list[4].ID))
		s.wantVerdict(column, audit.Result{Entries: 9, BrokenAt: list[4].ID, Why: audit.WhyHash})
	}
}

func auditRemoved(s *suite) {
	for _, tt := range []struct {
		mesh        string
		first, last int
		want        audit.Result
	}{
		{"beginning", 0, 0, audit.Result{Entries: 8, Why: audit.WhyLink}},
		{"middle", 4, 5, audit.Result{Entries: 7, Why: audit.WhyLink}},
		{"tail", 8, 8, audit.Result{Entries: 8, Why: audit.WhyTail}},
		{"all", 0, 8, audit.Result{Entries: 0, Why: audit.WhyTail, BrokenAt: 1}},
	} {
		list := entries(tt.mesh, 0, 9)
		s.commit(store.Batch{Audit: list})
		s.exec(fmt.Sprintf(`DELETE FROM audit_log WHERE mesh_id = '%s' AND id BETWEEN %d AND %d`,
			tt.mesh, list[tt.first].ID, list[tt.last].ID))
		switch tt.mesh {
		case "beginning", "middle":
			tt.want.BrokenAt = list[tt.last+1].ID
		case "tail":
			tt.want.BrokenAt = list[tt.first-1].ID + 1
		}
		s.wantVerdict(tt.mesh, tt.want)
	}
}

func auditHeadLost(s *suite) {
	list := entries("mesh", 0, 5)
	s.commit(store.Batch{Audit: list})
	s.exec(`DELETE FROM audit_head WHERE mesh_id = 'mesh'`)
	s.wantVerdict("mesh", audit.Result{Entries: 5, BrokenAt: list[4].ID, Why: audit.WhyExtra})

	more := entries("mesh", 5, 2)
	s.commit(store.Batch{Audit: more})
	s.wantVerdict("mesh", audit.Result{Entries: 7, BrokenAt: more[0].ID, Why: audit.WhyLink})
}

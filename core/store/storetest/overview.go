package storetest

import (
	"time"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
)

var overviews = []test{
	{"each mesh has its own depth and its own oldest, the fullest first", meshDepths},
	{"as many meshes are listed as were asked for, those with most", meshDepthsBounded},
	{"what is held back counts in its mesh, and apart", meshDepthsHeld},
	{"the ends of several chains come with the time of their last entry", auditEnds},
	{"an end whose entry was removed has no time", auditEndLost},
	{"files and histories count until they are gone", whatIsKept},
}

// wantQueues compares what waits by mesh.
func (s *suite) wantQueues(limit int, want ...store.MeshQueue) {
	s.Helper()
	got, err := s.QueueByMesh(s.ctx, limit)
	s.must(err)
	same(s, got, want)
}

// in returns message n of a mesh.
func in(mesh string, n int) *store.Message {
	m := message(n)
	m.MeshID = mesh
	return m
}

func meshDepths(s *suite) {
	s.wantQueues(10)
	s.commit(queued([]*store.Message{in("a", 1), in("b", 2)}, key(1)))
	s.commit(queued([]*store.Message{in("b", 3), in("c", 4)}, key(1), key(2)))
	a := store.MeshQueue{MeshID: "a", Waiting: 1, Oldest: message(1).CreatedAt}
	b := store.MeshQueue{MeshID: "b", Waiting: 3, Oldest: message(2).CreatedAt}
	c := store.MeshQueue{MeshID: "c", Waiting: 2, Oldest: message(4).CreatedAt}
	s.wantQueues(10, b, c, a)

	s.commit(store.Batch{Settled: []store.Settlement{settled(2, key(1), 0), settled(4, key(1), 0), settled(4, key(2), 0)}})
	b.Waiting, b.Oldest = 2, message(3).CreatedAt
	s.wantQueues(10, b, a)
	s.wantExpired(now().Add(time.Hour), 1000, 3)
	s.wantQueues(10)
}

func meshDepthsBounded(s *suite) {
	s.commit(queued([]*store.Message{in("a", 1), in("b", 2), in("c", 3)}, key(1)))
	s.commit(queued([]*store.Message{in("c", 4)}, key(1)))
	c := store.MeshQueue{MeshID: "c", Waiting: 2, Oldest: message(3).CreatedAt}
	a := store.MeshQueue{MeshID: "a", Waiting: 1, Oldest: message(1).CreatedAt}
	s.wantQueues(2, c, a)
	s.wantQueues(1, c)
	s.wantQueues(0)
}

func meshDepthsHeld(s *suite) {
	held := until(1, due(10))
	held.MeshID = "a"
	only := until(3, due(10))
	only.MeshID = "b"
	s.commit(holding([]*store.Message{held}, key(1), key(2)))
	s.commit(holding([]*store.Message{only}, key(1)))
	s.commit(queued([]*store.Message{in("a", 2)}, key(1)))
	s.wantQueues(10,
		store.MeshQueue{MeshID: "a", Waiting: 3, Held: 2, Oldest: held.CreatedAt},
		store.MeshQueue{MeshID: "b", Waiting: 1, Held: 1, Oldest: only.CreatedAt})
}

// wantEnds compares the ends of chains.
func (s *suite) wantEnds(meshes []string, want ...store.AuditEnd) {
	s.Helper()
	got, err := s.AuditEnds(s.ctx, meshes)
	s.must(err)
	same(s, got, want)
}

// endOf returns the end of a chain that ends with an entry.
func endOf(last *audit.Entry, count int64) store.AuditEnd {
	return store.AuditEnd{Head: audit.Head{MeshID: last.MeshID, Hash: last.Hash, Count: count, LastID: last.ID}, At: last.CreatedAt}
}

func auditEnds(s *suite) {
	s.wantEnds([]string{"a"})
	a, b := entries("a", 0, 3), entries("b", 10, 5)
	s.commit(store.Batch{Audit: append(entries("other", 0, 2), a...)})
	s.commit(store.Batch{Audit: b})
	s.wantEnds([]string{"b", "a", "never"}, endOf(a[2], 3), endOf(b[4], 5))
	s.wantEnds([]string{"b"}, endOf(b[4], 5))
	s.wantEnds(nil)
}

func auditEndLost(s *suite) {
	list := entries("mesh", 0, 3)
	s.commit(store.Batch{Audit: list})
	s.exec(`DELETE FROM audit_log WHERE mesh_id = 'mesh' AND event_type = '` + list[2].EventType + `'`)
	want := endOf(list[2], 3)
	want.At = time.Time{}
	s.wantEnds([]string{"mesh"}, want)
}

func whatIsKept(s *suite) {
	want := func(want store.Totals) {
		s.Helper()
		got, err := s.Totals(s.ctx)
		s.must(err)
		same(s, got, want)
	}
	want(store.Totals{})
	_, members := s.mesh(1)
	ready, open := file(1), file(2)
	s.createFile(ready, open)
	s.fill(ready)
	t := topic(1)
	s.found(members[0], t)
	s.say(said(t, members[0], 1), said(t, members[0], 2))
	want(store.Totals{Files: 2, FileBytes: 20, TopicMessages: 2})
	s.must(s.DropFile(s.ctx, ready.MeshID, ready.ID, now()))
	want(store.Totals{Files: 1, FileBytes: 10, TopicMessages: 2})
}

package storetest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/store"
)

var nodes = []sharedTest{
	{"a node comes back as it was registered", nodeRoundTrip},
	{"nodes that register at once have a slot each, the smallest", nodeSlots},
	{"the slot of a node that left is given again, that of a lapsed lease is not", nodeSlotAgain},
	{"a lease lapses, and is renewed while the row is there", nodeLease},
}

func node(n int) *store.Node {
	return &store.Node{ID: id("node", n), Host: "høst <1>", Version: "1.2.3", StartedAt: now()}
}

// wantSlots checks the slots that are taken.
func (s *shared) wantSlots(want ...int) {
	s.Helper()
	list, err := s.brokers[2].ListNodes(s.ctx)
	s.must(err)
	var got []int
	for _, n := range list {
		got = append(got, n.Slot)
	}
	slices.Sort(got)
	same(&s.suite, got, want)
}

func nodeRoundTrip(s *shared) {
	n := node(1)
	s.must(s.brokers[0].RegisterNode(s.ctx, n, time.Hour))
	list, err := s.brokers[1].ListNodes(s.ctx)
	s.must(err)
	if len(list) != 1 || list[0].Expires > time.Hour || list[0].Expires < 59*time.Minute {
		s.Fatalf("got %+v", list)
	}
	list[0].Expires = n.Expires
	same(&s.suite, list[0], n)
	s.wantErr(s.brokers[1].RegisterNode(s.ctx, node(1), time.Hour), store.ErrConflict)
}

func nodeSlots(s *shared) {
	const many = 24
	var wg sync.WaitGroup
	for n := range many {
		wg.Go(func() {
			if err := s.brokers[n%len(s.brokers)].RegisterNode(s.ctx, node(n), time.Minute); err != nil {
				s.Error(err)
			}
		})
	}
	wg.Wait()
	want := make([]int, many)
	for i := range want {
		want[i] = i
	}
	s.wantSlots(want...)
}

func nodeSlotAgain(s *shared) {
	for n := range 3 {
		s.must(s.brokers[n].RegisterNode(s.ctx, node(n), time.Millisecond))
	}
	for range 2 { // what is not there may be removed too
		s.must(s.brokers[2].RemoveNode(s.ctx, node(1).ID))
	}
	s.wantSlots(0, 2)
	for n, want := range []int{1, 3} {
		next := node(10 + n)
		s.must(s.brokers[0].RegisterNode(s.ctx, next, time.Minute))
		if next.Slot != want {
			s.Errorf("got slot %d, want %d", next.Slot, want)
		}
	}
}

// expires returns how long a node's lease lasts.
func (s *shared) expires(n *store.Node) time.Duration {
	s.Helper()
	list, err := s.brokers[1].ListNodes(s.ctx)
	s.must(err)
	for _, other := range list {
		if other.ID == n.ID {
			return other.Expires
		}
	}
	s.Fatalf("node %s is gone", n.ID)
	return 0
}

func nodeLease(s *shared) {
	n := node(1)
	s.must(s.brokers[0].RegisterNode(s.ctx, n, 20*time.Millisecond))
	s.eventually("the lease lapses", func() bool { return s.expires(n) < 0 })
	s.must(s.brokers[0].RenewNode(s.ctx, n.ID, time.Hour))
	if left := s.expires(n); left < 59*time.Minute {
		s.Errorf("after renewal %v are left", left)
	}
	s.must(s.brokers[1].RemoveNode(s.ctx, n.ID))
	s.wantErr(s.brokers[0].RenewNode(s.ctx, n.ID, time.Hour), store.ErrLeaseLost)
}

var roll = []sharedTest{
	{"a presence comes back as it was written, ended or not", rollRoundTrip},
	{"of two versions of a presence the higher one stays", rollVersions},
	{"open presences are listed with their version", rollOpen},
	{"presences of nodes with a live lease are not closed", rollClose},
}

// version is a presence in one of its versions.
func version(n int, v int64, summary string) *store.Presence {
	p := presence(n)
	p.Node, p.Version, p.Details = id("node", 1), v, fmt.Appendf(nil, `{"summary":%q,"z":"\u0000","a":1.0}`, summary)
	return p
}

func (s *shared) wantPresences(want ...*store.Presence) {
	s.Helper()
	ids := []string{"nothing"}
	for _, p := range want {
		ids = append(ids, p.ID)
	}
	got, err := s.brokers[2].PresencesByID(s.ctx, ids)
	s.must(err)
	slices.SortFunc(got, func(a, b *store.Presence) int { return slices.Index(ids, a.ID) - slices.Index(ids, b.ID) })
	same(&s.suite, got, want)
}

func rollRoundTrip(s *shared) {
	full, ended := version(1, 7, "größe"), version(2, 1, "")
	ended.DisconnectedAt = now()
	bare := &store.Presence{ID: "bare", ConnectedAt: now()}
	s.commit(store.Batch{Presences: []*store.Presence{full, ended, bare}})
	s.wantPresences(full, ended, bare)
	s.wantPresences()
}

func rollVersions(s *shared) {
	for _, step := range []struct {
		broker int
		list   []*store.Presence
		want   *store.Presence
	}{
		{0, []*store.Presence{version(1, 5, "five")}, version(1, 5, "five")},
		{1, []*store.Presence{version(1, 4, "four")}, version(1, 5, "five")},
		{1, []*store.Presence{version(1, 5, "five again")}, version(1, 5, "five again")},
		{2, []*store.Presence{version(1, 8, "eight"), version(1, 7, "seven")}, version(1, 8, "eight")},
		{0, []*store.Presence{version(1, 9, "nine"), version(1, 9, "nine again")}, version(1, 9, "nine again")},
	} {
		s.must(s.brokers[step.broker].Commit(s.ctx, &store.Batch{Presences: step.list}))
		s.wantPresences(step.want)
	}
}

func (s *shared) wantOpen(want map[string]int64) {
	s.Helper()
	got, err := s.brokers[1].OpenPresences(s.ctx)
	s.must(err)
	same(&s.suite, got, want)
}

func rollOpen(s *shared) {
	s.wantOpen(nil)
	a, b, ended := version(1, 3, ""), version(2, 4, ""), version(3, 5, "")
	ended.DisconnectedAt = now()
	s.commit(store.Batch{Presences: []*store.Presence{a, b, ended}})
	s.wantOpen(map[string]int64{a.ID: 3, b.ID: 4})
}

func rollClose(s *shared) {
	live, dead := node(1), node(2)
	s.must(s.brokers[0].RegisterNode(s.ctx, live, time.Hour))
	s.must(s.brokers[1].RegisterNode(s.ctx, dead, time.Millisecond))
	s.eventually("the lease lapses", func() bool { return s.expires(dead) < 0 })

	here, there, lost, nobodys := version(1, 1, ""), version(2, 1, ""), version(3, 1, ""), presence(4)
	there.Node, lost.Node = dead.ID, id("node", 3)
	s.commit(store.Batch{Presences: []*store.Presence{here, there, lost, nobodys}})
	s.wantClosed(3)
	s.wantOpen(map[string]int64{here.ID: 1})

	// The dead one comes back and writes what it knew.
	s.must(s.brokers[1].Commit(s.ctx, &store.Batch{Presences: []*store.Presence{there}}))
	s.wantOpen(map[string]int64{here.ID: 1})
}

package app_test

import (
	"testing"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

// Sessions of one member that end side by side each get back what is their own.
// That their counters do not double is TestRestoredStatsDoNotDouble.
func TestFlawExt52ParallelSessionsKeepTheirOwn(t *testing.T) {
	r := newRig(t, nil)
	member := r.member("ada", store.RoleMember)
	ids := []dial.Identity{session(member), session(member)}
	summaries := []string{"writes", "reviews"}
	var peers []*dial.Peer
	for i, id := range ids {
		p := r.dial(id, dial.Options{})
		if err := p.Tell(wire.SetSummary{Summary: summaries[i]}); err != nil {
			t.Fatal(err)
		}
		peers = append(peers, p)
	}
	for _, p := range peers {
		if got := r.rowOf(p).Summary; got == "" { // what it has told is taken
			t.Fatal("it has no summary")
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	r.wantLeft(0, 0)
	for i, id := range ids {
		if got := r.rowOf(r.dial(id, dial.Options{})).Summary; got != summaries[i] {
			t.Errorf("session %d has the summary %q, want %q", i, got, summaries[i])
		}
	}
}

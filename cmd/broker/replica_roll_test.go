package main

import (
	"testing"

	"github.com/claudemesh/broker/core/store/pgtest"
)

// TestReplicasRolled stops each replica politely and starts it again, one after
// the other, as an upgrade does. Nobody may notice more than a reconnect.
func TestReplicasRolled(t *testing.T) {
	t.Parallel()
	onBothBuses(t, func(t *testing.T, bus string) {
		f := newFleet(t, fleetOptions{size: 3, database: pgtest.URL(t), bus: bus, members: 8})
		l := startLoad(t, f)
		for range *replicaRounds {
			l.flows()
			for _, r := range f.replicas {
				r.roll()
				l.home()
				l.movesAt(r)
			}
		}
		if n := l.finish(); n.refused > 0 {
			t.Errorf("%d sends were refused because of an upgrade", n.refused)
		}
	})
}

package main

import (
	"testing"

	"github.com/claudemesh/broker/core/store/pgtest"
)

// TestReplicaKilled kills replicas with SIGKILL under load.
func TestReplicaKilled(t *testing.T) {
	t.Parallel()
	onBothBuses(t, func(t *testing.T, bus string) {
		f := newFleet(t, fleetOptions{size: 3, database: pgtest.URL(t), bus: bus, members: 8})
		l := startLoad(t, f)
		for i := range 2 * *replicaRounds {
			l.flows()
			r := f.replicas[i%len(f.replicas)]
			r.kill()
			l.moves(20)
			r.start()
			l.home()
			l.movesAt(r)
		}
		l.finish()
	})
}

package main

import (
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/claudemesh/broker/core/bus/natstest"
	"github.com/claudemesh/broker/core/store/pgtest"
)

// TestReplicasAndNATSRestart restarts the only NATS server.
func TestReplicasAndNATSRestart(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, server.Options{})
	f := newFleet(t, fleetOptions{size: 2, database: pgtest.URL(t), bus: overNATS(s), members: 8})
	l := startLoad(t, f)
	for range *replicaRounds {
		l.flows()
		s.Stop()
		l.flows()
		s.Again(t)
		l.flows()
	}
	if n := l.finish(); n.lost > 0 || n.refused > 0 {
		t.Errorf("because NATS was away: %d connections closed, %d sends refused", n.lost, n.refused)
	}
}

// TestReplicasAndNATSFailover kills the node of a NATS cluster that the
// replicas use.
func TestReplicasAndNATSFailover(t *testing.T) {
	t.Parallel()
	nodes := natstest.StartCluster(t, 3)
	f := newFleet(t, fleetOptions{size: 3, database: pgtest.URL(t), bus: overNATS(nodes...), members: 8})
	l := startLoad(t, f)
	for range *replicaRounds {
		l.flows()
		used := mostUsed(nodes)
		used.Stop()
		l.flows()
		used.Again(t)
		l.flows()
	}
	if n := l.finish(); n.lost > 0 || n.refused > 0 {
		t.Errorf("because a NATS node was away: %d connections closed, %d sends refused", n.lost, n.refused)
	}
}

// TestReplicasWithoutBus leaves each replica alone with what it reads in the
// store.
func TestReplicasWithoutBus(t *testing.T) {
	t.Parallel()
	f := newFleet(t, fleetOptions{size: 2, database: pgtest.URL(t), bus: "type: local", members: 8})
	l := startLoad(t, f)
	l.flows()
	for _, r := range f.replicas {
		l.movesAt(r)
	}
	l.finish()
}

// onBothBuses runs a test over PostgreSQL's bus and over NATS, at once.
func onBothBuses(t *testing.T, test func(t *testing.T, bus string)) {
	t.Helper()
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, "type: postgres")
	})
	t.Run("nats", func(t *testing.T) {
		t.Parallel()
		test(t, overNATS(natstest.Start(t, server.Options{})))
	})
}

// overNATS is the config of a bus.
func overNATS(servers ...*natstest.Server) string {
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.URL())
	}
	return `type: nats` + "\n" + `nats: {urls: ["` + strings.Join(urls, `", "`) + `"]}`
}

// mostUsed returns the node that most clients use.
func mostUsed(nodes []*natstest.Server) *natstest.Server {
	most := nodes[0]
	for _, s := range nodes {
		if s.NumClients() > most.NumClients() {
			most = s
		}
	}
	return most
}

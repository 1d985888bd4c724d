package main

import (
	"net/http"
	"sync"
	"testing"

	"github.com/claudemesh/broker/core/store/pgtest"
)

// TestReplicaWithoutDatabase cuts one replica's way to the database for longer
// than its lease: first a connection that breaks, then a network that is
// silent.
func TestReplicaWithoutDatabase(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(*tether){"broken": (*tether).Cut, "silent": (*tether).Stall} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := pgtest.URL(t)
			line, url := newTether(t, database)
			f := newFleet(t, fleetOptions{size: 2, database: database, through: map[int]string{1: url}, members: 8})
			l := startLoad(t, f)
			for range *replicaRounds {
				severed(t, l, f.replicas[1], func() { cut(line) }, line.Heal)
			}
			if n := l.finish(); n.lost > 0 {
				t.Errorf("%d connections were closed because a database was away", n.lost)
			}
		})
	}
}

// severed is one cut of a replica's database.
func severed(t *testing.T, l *load, r *replica, cut, heal func()) {
	t.Helper()
	heal = sync.OnceFunc(heal)
	defer heal()
	l.flows()
	cut()
	eventually(t, "the replica is not ready", func() bool { return r.status("/health/ready") == http.StatusServiceUnavailable })
	l.fleet.leaseOver(r)
	if got := r.status("/health/ready"); got != http.StatusServiceUnavailable {
		t.Errorf("/health/ready without a database: got %d, want 503", got)
	}
	if got := r.status("/health"); got != http.StatusOK {
		t.Errorf("/health without a database: got %d, want 200", got)
	}
	heal()
	eventually(t, "the replica is ready again", func() bool { return r.status("/health/ready") == http.StatusOK })
	l.movesAt(r)
	l.flows()
}

// TestReplicasAndPostgresCrash ends PostgreSQL as a crash does, and starts it
// again.
func TestReplicasAndPostgresCrash(t *testing.T) {
	t.Parallel()
	server := pgtest.NewCluster(t)
	f := newFleet(t, fleetOptions{size: 3, database: server.URL(), members: 8})
	l := startLoad(t, f)
	for range *replicaRounds {
		l.flows()
		server.Stop(t)
		for _, r := range f.replicas {
			eventually(t, "the replica is not ready", func() bool { return r.status("/health/ready") == http.StatusServiceUnavailable })
			if got := r.status("/health"); got != http.StatusOK {
				t.Errorf("/health without a database: got %d, want 200", got)
			}
		}
		server.Start(t)
		for _, r := range f.replicas {
			eventually(t, "the replica is ready again", func() bool { return r.status("/health/ready") == http.StatusOK })
			l.movesAt(r)
		}
	}
	if n := l.finish(); n.lost > 0 {
		t.Errorf("%d connections were closed because PostgreSQL was restarted", n.lost)
	}
}

package main

import (
	"errors"
	"flag"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store/pgtest"
	"github.com/claudemesh/broker/core/wire"
)

// replicaFreeze freezes with the lease that operators have; see
// TestReplicaFrozenLong.
var replicaFreeze = flag.Duration("replica.freeze", 0, "how long TestReplicaFrozenLong freezes a replica, such as 40s; 0 skips it")

// TestReplicaFrozen stops a replica for longer than its lease. Its clients go
// elsewhere meanwhile, without a word to it.
//
// It may stop in the middle of a transaction. The locks that the transaction
// holds, on the end of an audit chain or on deliveries that it settles, must
// not hold up the other replicas for long.
func TestReplicaFrozen(t *testing.T) {
	t.Parallel()
	onBothBuses(t, func(t *testing.T, bus string) {
		f := newFleet(t, fleetOptions{size: 2, database: pgtest.URL(t), bus: bus, members: 8})
		l := startLoad(t, f)
		for range *replicaRounds {
			frozen(t, l, f.replicas[0], func() { f.leaseOver(f.replicas[0]) })
		}
		l.finish()
	})
}

// TestReplicaFrozenLong is TestReplicaFrozen with the lease that operators
// have, for a real hang of a virtual machine.
func TestReplicaFrozenLong(t *testing.T) {
	if *replicaFreeze == 0 {
		t.Skip("go test -run ReplicaFrozenLong -replica.freeze=40s takes its time")
	}
	t.Parallel()
	f := newFleet(t, fleetOptions{size: 2, database: pgtest.URL(t), members: 8, lease: "15s"})
	l := startLoad(t, f)
	frozen(t, l, f.replicas[0], func() {
		for end := time.Now().Add(*replicaFreeze); time.Now().Before(end); { // the load goes on
			l.moves(20)
		}
		f.leaseOver(f.replicas[0])
	})
	l.finish()
}

// frozen is one freeze of a replica under load. over returns when it has
// lasted long enough. What the replica had already put on its way may still
// come out when it thaws; nothing that was sent later may.
func frozen(t *testing.T, l *load, r *replica, over func()) {
	t.Helper()
	l.flows()
	url := r.place.Load().url
	settled := len(l.abandoned())
	r.freeze()
	since := time.Now()
	l.flows() // elsewhere
	over()
	r.thaw(url)
	for _, p := range l.abandoned()[settled:] {
		replaced(t, p)
	}
	if late := l.pushedLate(since); len(late) > 0 {
		t.Errorf("the replica pushed messages that were sent after its freeze, to sessions that others had taken over: %q", late)
	}
	eventually(t, "the replica is ready", func() bool { return r.status("/health/ready") == 200 })
	l.home()
	l.movesAt(r)
}

// replaced waits until a connection has ended because its session lives
// elsewhere.
func replaced(t *testing.T, p *dial.Peer) {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(replicaPatience):
		t.Error("a session that lives elsewhere keeps its old connection")
		return
	}
	closed, ok := errors.AsType[*dial.CloseError](p.Err())
	if !ok || closed.Code != wire.CloseCode(1000) || closed.Reason != "session_replaced" {
		t.Errorf("the old connection of a session that lives elsewhere: %v", p.Err())
	}
}

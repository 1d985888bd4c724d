package main

import (
	"context"
	"flag"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store/pgtest"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// replicaPeers spreads the writers of TestReplicasWriteOneChain: a thousand
// peers tell each other that they came, which takes a minute with the race
// detector.
var replicaPeers = flag.Int("replica.peers", 100, "connections of the 1,000 writers of TestReplicasWriteOneChain")

const (
	auditWriters = 1000
	auditSends   = 3

	// auditDials bounds how many peers say hello at once, so that none waits
	// for longer than a hello may take.
	auditDials = 64
)

// TestReplicasWriteOneChain has 1,000 writers on three replicas cause audit
// entries of one mesh at the same moment.
func TestReplicasWriteOneChain(t *testing.T) {
	t.Parallel()
	f := newFleet(t, fleetOptions{size: 3, database: pgtest.URL(t), members: 10})
	peers := connectPeers(t, f, *replicaPeers)
	start := time.Now()
	var sent atomic.Int64
	var all sync.WaitGroup
	for i := range auditWriters {
		p, target := peers[i%len(peers)], peers[(i+1)%len(peers)].Key().String() // on another replica
		all.Go(func() {
			for n := range auditSends {
				ctx, cancel := context.WithTimeout(context.Background(), replicaPatience)
				ack, err := p.Send(ctx, target, sdk.PriorityNow, "", fmt.Sprint(n), dial.SendOptions{})
				cancel()
				if err != nil || !ack.Queued {
					t.Errorf("writer %d: got %+v, %v", i, ack, err)
					return
				}
				sent.Add(1)
			}
		})
	}
	all.Wait()
	took := time.Since(start)
	for _, p := range peers {
		all.Go(func() { _ = p.Close() })
	}
	all.Wait()
	f.stop()
	entries := f.verify()
	if want := sent.Load() + int64(len(peers)); entries < want {
		t.Errorf("%d audit entries, want at least %d: one for each peer that joined and for each send", entries, want)
	}
	t.Logf("%d writers over %d peers, %d sends in %v, %d audit entries in one chain", auditWriters, len(peers), sent.Load(), took.Round(time.Millisecond), entries)
}

// connectPeers connects peers to all replicas in turn.
func connectPeers(t *testing.T, f *fleet, n int) []*dial.Peer {
	t.Helper()
	peers := make([]*dial.Peer, n)
	turns := make(chan struct{}, auditDials)
	var all sync.WaitGroup
	for i := range peers {
		id, at := f.session(), f.living(i)
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			p, err := dial.Dial(t.Context(), at.url, id, dial.Options{
				OnPush: func(*dial.Peer, *wire.Push) {}, ConfirmPushes: true, HelloTimeout: replicaPatience,
			})
			if err != nil {
				t.Errorf("peer %d: %v", i, err)
				return
			}
			peers[i] = p
		})
	}
	all.Wait()
	if t.Failed() {
		for _, p := range peers {
			if p != nil {
				p.Abort()
			}
		}
		t.FailNow()
	}
	return peers
}

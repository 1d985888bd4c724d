package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/store"
)

// sweepEvery is how often a node looks for others that are dead.
const sweepEvery = 2 * time.Second

// forgetNode is how long a node without a registration is remembered: by then it
// has no session left.
const forgetNode = 25 * time.Hour

// lockSweep is the lock of who ends the sessions of dead nodes.
const lockSweep = "end the sessions of dead nodes"

// roll is which nodes live, as far as this one knows.
type roll struct {
	mu      sync.Mutex
	back    time.Time            // when this node's own lease began to hold
	pruned  time.Time            // when old signals were last to be deleted
	expires map[string]time.Time // of every registration, by this process's clock
	missing map[string]time.Time // when a node without a registration was first missed
}

// sweep gives the sessions of dead nodes their grace time and ends those that do
// not come back, until ctx ends.
func (n *Node) sweep(ctx context.Context) {
	every(ctx, sweepEvery, 0, nil, func(ctx context.Context) {
		n.failed(ctx, "sessions of dead nodes not looked after", n.sweepOnce(ctx))
	})
}

func (n *Node) sweepOnce(ctx context.Context) error {
	if !n.Held() {
		return nil // this node may be the dead one
	}
	list, err := n.store.ListNodes(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	expires := make(map[string]time.Time, len(list))
	for _, other := range list {
		expires[other.ID] = now.Add(other.Expires)
	}
	n.nodes.mu.Lock()
	n.nodes.expires = expires
	for id, since := range n.nodes.missing {
		if now.Sub(since) > forgetNode {
			delete(n.nodes.missing, id)
		}
	}
	n.nodes.mu.Unlock()
	n.parts.Directory.Orphan(n.dead)
	due := n.pruneDue(now)
	if !due && !n.parts.Directory.HasOrphans(n.dead) {
		return nil
	}
	_, err = n.Alone(ctx, lockSweep, func(ctx context.Context) error {
		if err := n.endOrphans(ctx); err != nil || !due {
			return err
		}
		return n.prune(ctx, now)
	})
	return err
}

// endOrphans ends the sessions of dead nodes that did not come back, unless
// another node has ended them, or this one is late itself.
func (n *Node) endOrphans(ctx context.Context) error {
	if !n.parts.Directory.HasOrphans(n.dead) {
		return nil
	}
	if err := n.reconcileOnce(ctx); err != nil {
		return err
	}
	if !n.Held() {
		return nil
	}
	for _, last := range n.parts.Directory.EndOrphans(n.dead) {
		n.Counters.Orphans.Add(1)
		n.parts.Left(last)
	}
	return nil
}

// pruneDue reports, once a minute, that old signals should be deleted.
func (n *Node) pruneDue(now time.Time) bool {
	n.nodes.mu.Lock()
	defer n.nodes.mu.Unlock()
	due := now.Sub(n.nodes.pruned) > time.Minute
	if due {
		n.nodes.pruned = now
	}
	return due
}

// prune deletes the signals that every node has read by now.
func (n *Node) prune(ctx context.Context, now time.Time) error {
	if _, err := n.store.PruneSignals(ctx, now.Add(-keepNotices), store.SignalNotice); err != nil {
		return err
	}
	_, err := n.store.PruneSignals(ctx, now.Add(-keepSignals))
	return err
}

// backAt notes that this node's own lease holds from now on.
func (n *Node) backAt(t time.Time) {
	n.nodes.mu.Lock()
	defer n.nodes.mu.Unlock()
	n.nodes.back = t
}

// dead reports whether a node is dead, and since when. While this node's own
// lease was over, the others had no way to show that they live: then they are
// dead since its own came back at the earliest.
func (n *Node) dead(node string) (since time.Time, is bool) {
	n.nodes.mu.Lock()
	defer n.nodes.mu.Unlock()
	now := time.Now()
	if at, registered := n.nodes.expires[node]; registered {
		delete(n.nodes.missing, node)
		if at.Before(n.nodes.back) {
			return n.nodes.back, true
		}
		return at, now.After(at)
	}
	since, known := n.nodes.missing[node]
	if !known {
		since = now
		n.nodes.missing[node] = since
	}
	return since, true
}

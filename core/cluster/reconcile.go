package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
)

// reconcileEvery is how often a node compares the sessions that it knows of
// with the store.
const reconcileEvery = 5 * time.Second

// suspectFor is how long something has to look wrong before it is put right:
// rows are written some milliseconds after they are told.
const suspectFor = reconcileEvery - time.Second

// mirror is what reconciling remembers. The loop that renews the lease and the
// one that reconciles take turns. What is told and what is written do not come
// at the same moment, so that only what goes on looking wrong is put right.
type mirror struct {
	turn      chan struct{} // holds one value while somebody reconciles
	absent    suspects      // sessions of others that have no row
	unwritten suspects      // sessions of this node whose row is old, or missing
	ghosts    suspects      // open rows of this node that are no session
}

// suspects are presences that looked wrong.
type suspects map[string]suspect

// suspect is the version at which a presence looked wrong, and since when.
type suspect struct {
	version int64
	since   time.Time // set by again
}

// again returns those that have looked wrong for long enough, at the same
// version, and remembers now for the next time.
func (s *suspects) again(now suspects) (confirmed []string) {
	at := time.Now()
	for id, x := range now {
		x.since = at
		if was, ok := (*s)[id]; ok && was.version == x.version {
			x.since = was.since
		}
		if at.Sub(x.since) >= suspectFor {
			confirmed = append(confirmed, id)
		}
		now[id] = x
	}
	*s = now
	return confirmed
}

// reconcile compares the directory with the store, from the start on, until ctx
// ends.
func (n *Node) reconcile(ctx context.Context) {
	var caught sync.Once
	prod(n.prod.reconcile)
	every(ctx, reconcileEvery, askGap, n.prod.reconcile, func(ctx context.Context) {
		err := n.reconcileOnce(ctx)
		n.failed(ctx, "sessions of other nodes not read", err)
		if err == nil {
			caught.Do(func() { close(n.caught) })
		}
	})
}

// reconcileOnce takes in every row that is newer than what is known, and puts
// right what goes on looking wrong.
func (n *Node) reconcileOnce(ctx context.Context) error {
	select {
	case n.mirror.turn <- struct{}{}:
		defer func() { <-n.mirror.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	known := n.parts.Directory.Known()
	open, err := n.store.OpenPresences(ctx)
	if err != nil {
		return err
	}
	rows, err := n.store.PresencesByID(ctx, unsure(known, open))
	if err != nil {
		return err
	}
	found := make(map[string]*store.Presence, len(rows))
	for _, p := range rows {
		found[p.ID] = p
		n.take(p)
	}
	n.forgetAbsent(known, open, found)
	n.rewriteOwn(known, open)
	n.buryGhosts(known, found)
	return nil
}

// unsure returns the ids of the rows that have to be read: of sessions that are
// open and not known at this version, and of known ones that are not open.
func unsure(known map[string]presence.Known, open map[string]int64) []string {
	var ids []string
	for id, version := range open {
		if known[id].Version < version {
			ids = append(ids, id)
		}
	}
	for id := range known {
		if _, is := open[id]; !is {
			ids = append(ids, id)
		}
	}
	return ids
}

// forgetAbsent forgets sessions of other nodes that have no row.
func (n *Node) forgetAbsent(known map[string]presence.Known, open map[string]int64, found map[string]*store.Presence) {
	now := suspects{}
	for id, k := range known {
		if _, is := open[id]; !is && found[id] == nil && !k.Own {
			now[id] = suspect{version: k.Version}
		}
	}
	for _, id := range n.mirror.absent.again(now) {
		n.parts.Directory.Unmirror(known[id].Mesh, id, known[id].Version)
	}
}

// rewriteOwn writes the rows of this node's sessions that did not reach the
// store.
func (n *Node) rewriteOwn(known map[string]presence.Known, open map[string]int64) {
	now := suspects{}
	for id, k := range known {
		if k.Own && open[id] < k.Version {
			now[id] = suspect{version: k.Version}
		}
	}
	for _, id := range n.mirror.unwritten.again(now) {
		n.parts.Directory.Rewrite(known[id].Mesh, id)
	}
}

// buryGhosts ends open rows of this node whose session is over.
func (n *Node) buryGhosts(known map[string]presence.Known, found map[string]*store.Presence) {
	now := suspects{}
	for id, p := range found {
		if _, lives := known[id]; !lives && p.Node == n.self.ID && p.DisconnectedAt.IsZero() {
			now[id] = suspect{version: p.Version}
		}
	}
	for _, id := range n.mirror.ghosts.again(now) {
		n.parts.Directory.Bury(found[id])
	}
}

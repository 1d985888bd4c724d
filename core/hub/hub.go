// Package hub knows which peers are connected to this process: their sockets,
// their outboxes, and whether they still live.
//
// It keeps nothing on disk and takes no decision. Who a peer is and who may
// reach it is the chain's business; what survives a connection is the queue's.
package hub

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/core/wire"
)

// Options are the limits of connections.
type Options struct {
	HelloFrameBytes int64         // largest frame before a hello is accepted
	FrameBytes      int64         // largest frame after it
	OutboxBytes     int           // most bytes waiting for one peer; beyond it the peer is closed as slow
	PingEvery       time.Duration // how often a peer is asked for a sign of life
	DeadAfter       time.Duration // a peer silent for so long is cut
	HelloTimeout    time.Duration // an unanswered hello is closed after it
	PerAddress      int           // most connections from one address; 0 is no limit
}

// slots is the number of groups that peers are spread over, so that each tick
// of the watchdog looks at a part of them.
const slots = 30

// Hub is the set of connected peers. All methods may be called concurrently.
type Hub struct {
	options Options
	log     *slog.Logger
	next    atomic.Uint64
	count   atomic.Int64
	slots   [slots]slot
	origins origins
	closing atomic.Bool

	reads  bufferPool
	writes bufferPool

	Counters Counters
}

// Counters count what happened to connections since the start.
type Counters struct {
	Accepted atomic.Int64 // sockets that were upgraded
	Slow     atomic.Int64 // closed because their outbox was full
	Dead     atomic.Int64 // cut by the watchdog
}

type slot struct {
	mu    sync.Mutex
	peers map[uint64]*Peer
}

// New returns an empty hub.
func New(o Options, log *slog.Logger) *Hub {
	h := &Hub{options: o, log: log}
	for i := range h.slots {
		h.slots[i].peers = map[uint64]*Peer{}
	}
	return h
}

// Count returns the number of connected peers, with and without a session.
func (h *Hub) Count() int { return int(h.count.Load()) }

// Waiting returns how many bytes wait in the outboxes of all peers. It asks each
// of them, so that who sends pays nothing for it.
func (h *Hub) Waiting() (bytes int) {
	var peers []*Peer
	for i := range h.slots {
		peers = h.slots[i].snapshot(peers[:0])
		for _, p := range peers {
			bytes += p.out.waiting()
		}
	}
	return bytes
}

func (h *Hub) add(p *Peer) bool {
	s := &h.slots[p.id%slots]
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.closing.Load() {
		return false
	}
	s.peers[p.id] = p
	h.count.Add(1)
	return true
}

func (h *Hub) remove(p *Peer) {
	s := &h.slots[p.id%slots]
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.peers[p.id]; ok {
		delete(s.peers, p.id)
		h.count.Add(-1)
	}
}

func (s *slot) snapshot(dst []*Peer) []*Peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.peers {
		dst = append(dst, p)
	}
	return dst
}

// Watch pings peers and cuts those that do not answer, until ctx ends. One
// ticker serves all of them.
func (h *Hub) Watch(ctx context.Context) {
	tick := time.NewTicker(max(h.options.PingEvery/slots, time.Millisecond))
	defer tick.Stop()
	var peers []*Peer
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			peers = h.slots[i%slots].snapshot(peers[:0])
			for _, p := range peers {
				h.check(p, now)
			}
			clear(peers)
		}
	}
}

// check pings one peer, or cuts it.
func (h *Hub) check(p *Peer, now time.Time) {
	if !p.bound.Load() {
		return // the hello timer looks after it
	}
	if now.Sub(p.LastSeen()) > h.options.DeadAfter {
		h.Counters.Dead.Add(1)
		p.Cut()
		return
	}
	p.out.Ping()
}

// Close refuses new peers and closes all connected ones, after their outboxes are
// written. It returns when every peer is gone,
// or cuts the rest when ctx ends.
func (h *Hub) Close(ctx context.Context, c wire.Close) {
	h.closing.Store(true)
	var all []*Peer
	for i := range h.slots {
		all = h.slots[i].snapshot(all)
	}
	for _, p := range all {
		p.Close(c.Code, c.Reason)
	}
	for _, p := range all {
		select {
		case <-p.done:
		case <-ctx.Done():
			p.Cut()
		}
	}
}

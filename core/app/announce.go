package app

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/bucket"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Limits of what one member may announce, with all its sessions on this node. A
// notice costs a write to disk here, and one to the socket of each peer; among
// several nodes its frame is kept for some minutes besides. People and agents stay
// far below.
const (
	noticeRate  = 20      // a second
	noticeBurst = 200     // at once
	noticers    = 1 << 16 // members that are remembered
)

// noticeTurns is how many meshes can announce at the same time. A power of two.
const noticeTurns = 64

// notices are what announcing needs beside the store.
type notices struct {
	buckets *bucket.Set[noticer]
	seed    maphash.Seed

	// turn keeps a change and what is told of it together, for a broker on its
	// own: peers hear of changes in the order in which the store has them. Among
	// several nodes the signal log keeps the order.
	turn [noticeTurns]sync.Mutex
}

func newNotices(epoch time.Time) *notices {
	return &notices{
		buckets: bucket.New[noticer](bucket.Size{Count: noticeRate, Per: time.Second, Burst: noticeBurst, Most: noticers}, epoch),
		seed:    maphash.MakeSeed(),
	}
}

// of returns the turn of a mesh.
func (n *notices) of(mesh string) *sync.Mutex {
	return &n.turn[maphash.String(n.seed, mesh)%noticeTurns]
}

// noticer is the id of a member that announces.
type noticer string

// Hash implements [bucket.Key].
func (n noticer) Hash(seed maphash.Seed) uint64 { return maphash.String(seed, string(n)) }

// Keep implements [bucket.Key].
func (n noticer) Keep() noticer { return noticer(strings.Clone(string(n))) }

// Announce implements [feature.Announcer].
func (a *App) Announce(ctx context.Context, n feature.Notice, write feature.Write) error {
	if wait, ok := a.notices.buckets.Take(noticer(n.From.MemberID), time.Now()); !ok {
		return &core.Error{
			Code: sdk.ReasonRateLimit, RetryAfter: wait,
			Message: fmt.Sprintf("rate_limit: max %d changes/s that others are told of (burst %d)", noticeRate, noticeBurst),
		}
	}
	if a.options.Cluster == nil {
		return a.announceAlone(ctx, n, write)
	}
	payload, err := json.Marshal(n)
	if err != nil {
		return err
	}
	changed, err := write(ctx, &store.Signal{Kind: store.SignalNotice, Payload: payload})
	if err == nil && changed {
		a.options.Cluster.Signalled()
	}
	return err
}

func (a *App) announceAlone(ctx context.Context, n feature.Notice, write feature.Write) error {
	turn := a.notices.of(n.Mesh)
	turn.Lock()
	defer turn.Unlock()
	changed, err := write(ctx, nil)
	if err == nil && changed {
		a.noticeHere(n)
	}
	return err
}

// noticeHere tells the sessions of this node.
func (a *App) noticeHere(n feature.Notice) {
	n.Tell(context.Background(), a.dir, a.roster)
}

var _ feature.Announcer = (*App)(nil)

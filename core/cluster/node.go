package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/core/bus"
	"github.com/claudemesh/broker/core/delivery"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/telemetry"
)

// DefaultLease is how long a node is taken for alive after its last word. It is
// short beside the 90 s that a session waits for its client, and long beside
// what a garbage collection or a failover of the database takes.
const DefaultLease = 15 * time.Second

// Options are what a node is made of.
type Options struct {
	Store   store.Shared
	Bus     bus.Bus
	Host    string        // for operators to read
	Version string        // of the program
	Lease   time.Duration // 0 means DefaultLease
	Log     *slog.Logger
}

// Node is this process among those that share its store. All methods may be
// called concurrently.
type Node struct {
	options Options
	store   store.Shared
	bus     bus.Bus
	log     *slog.Logger
	self    store.Node
	parts   Parts // set by Use

	held    atomic.Pointer[time.Time] // until when the lease surely holds
	caught  chan struct{}             // closed when the sessions of others are known
	lost    chan struct{}             // closed when the lease can never be had again
	losing  sync.Once
	away    atomic.Bool // the database did not answer when last asked for the lease
	fenced  atomic.Bool // the lease was over when it was last looked at
	prod    prods
	keys    interest
	signals outgoing
	mirror  mirror
	nodes   roll

	Counters Counters
}

// Counters count since the start.
type Counters struct {
	Fenced    atomic.Int64 // times that the lease was found over
	Wakes     atomic.Int64 // wakes from other nodes
	Polled    atomic.Int64 // deliveries that a poll found
	Mirrored  atomic.Int64 // presence rows taken in
	Orphans   atomic.Int64 // sessions of dead nodes that this node ended
	Signalled atomic.Int64 // signals worked on

	Lag telemetry.Histogram // from another node's publishing of a message until it is worked on here
}

// Parts are what the node works with in its process.
type Parts struct {
	Directory *presence.Directory
	Engine    *delivery.Engine

	// Left tells a mesh of a session that this node ended in place of a dead
	// one.
	Left func(last presence.View)

	// Regained is called when the lease holds again after it was over, before
	// anything is pushed: what this node remembers of members may be old.
	Regained func(ctx context.Context) error

	// Handlers work on signals, by their kind. They must not wait for long: the
	// signals of this node are worked on one after the other.
	Handlers map[string]func(payload []byte) error

	// Posts take what other nodes post, by its kind. They must not wait.
	Posts map[string]func(message []byte) error
}

// Join registers this process with the store. Call [Node.Use], then [Node.Run].
func Join(ctx context.Context, o Options) (*Node, error) {
	if o.Lease <= 0 {
		o.Lease = DefaultLease
	}
	n := &Node{
		options: o, store: o.Store, bus: o.Bus, log: o.Log,
		self: store.Node{ID: identity.NewID(), Host: o.Host, Version: o.Version, StartedAt: time.Now()},
		lost: make(chan struct{}), caught: make(chan struct{}),
		prod: newProds(),
		keys: newInterest(),
	}
	n.nodes.missing = map[string]time.Time{}
	n.mirror.turn = make(chan struct{}, 1)
	n.signals.news = make(chan struct{}, 1)
	asked := time.Now()
	if err := o.Store.RegisterNode(ctx, &n.self, o.Lease); err != nil {
		return nil, fmt.Errorf("register with the store: %w", err)
	}
	n.hold(asked)
	n.backAt(asked)
	last, err := o.Store.LastSignal(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("find the end of the signals: %w", err), o.Store.RemoveNode(ctx, n.self.ID))
	}
	n.signals.read = last
	return n, nil
}

// Shared is the store that the nodes share.
func (n *Node) Shared() store.Shared { return n.store }

// BusUp reports whether the bus is connected now.
func (n *Node) BusUp() bool { return n.bus.Up() }

// BusStats returns what the bus has done since the start.
func (n *Node) BusStats() bus.Stats { return n.bus.Stats() }

// ID names the node; it is fresh with each start of a process.
func (n *Node) ID() string { return n.self.ID }

// Slot is the node's number, which no other registered node has.
func (n *Node) Slot() int { return n.self.Slot }

// Use gives the node its parts. Call it once, before Run.
func (n *Node) Use(p Parts) { n.parts = p }

// Run keeps the lease, follows the other nodes, and does its part of what is
// everybody's work, until ctx ends.
func (n *Node) Run(ctx context.Context) {
	n.bus.OnLost(n.prod.all)
	unsubscribe := n.subscribe()
	defer unsubscribe()
	var tasks sync.WaitGroup
	for _, task := range []func(context.Context){
		n.renew, n.follow, n.send, n.reconcile, n.poll, n.sweep, n.listen,
	} {
		tasks.Go(func() { task(ctx) })
	}
	tasks.Wait()
}

// Leave ends the registration: other nodes give this node's sessions their
// grace time from now on. Call it when Run has returned and everything is
// written.
func (n *Node) Leave(ctx context.Context) error {
	if err := n.flushSignals(ctx); err != nil {
		n.log.Warn("signals not written", slog.Any("err", err))
	}
	n.held.Store(nil)
	if err := n.store.RemoveNode(ctx, n.self.ID); err != nil {
		return fmt.Errorf("leave the cluster: %w", err)
	}
	return nil
}

// Caught is closed when Run has read the sessions of all nodes for the first
// time. Before that a hello would not find the session that it continues.
func (n *Node) Caught() <-chan struct{} { return n.caught }

// Lost is closed when the registration is gone for good: the process has to
// start again under another name.
func (n *Node) Lost() <-chan struct{} { return n.lost }

// Alone runs f while no other node runs what has the same name. It returns
// false, and has done nothing, when another node does.
func (n *Node) Alone(ctx context.Context, name string, f func(context.Context) error) (bool, error) {
	release, ok, err := n.store.TryLock(ctx, name)
	if err != nil || !ok {
		return false, err
	}
	defer release()
	return true, f(ctx)
}

// prods make loops run before their time.
type prods struct{ follow, reconcile, poll chan struct{} }

func newProds() prods {
	return prods{make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)}
}

// all makes every loop ask the store: something may have been lost.
func (p prods) all() {
	prod(p.follow)
	prod(p.reconcile)
	prod(p.poll)
}

func prod(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// askGap is the least time between two looks at the whole store, however often
// the bus says that something may have been lost.
const askGap = 200 * time.Millisecond

// every calls f at each tick and each time that it is prodded, until ctx ends.
// gap is the least time from one call to the next.
func every(ctx context.Context, d, gap time.Duration, prodded <-chan struct{}, f func(context.Context)) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-prodded:
		}
		f(ctx)
		if gap > 0 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(gap):
			}
		}
	}
}

// failed logs that a loop could not do its work this time. It will try again. Of
// a database that is away, one line is enough until it is back.
func (n *Node) failed(ctx context.Context, what string, err error) {
	switch {
	case err == nil || ctx.Err() != nil:
	case errors.Is(err, store.ErrUnavailable) && n.away.Swap(true):
		n.log.Debug(what, slog.Any("err", err))
	default:
		n.log.Warn(what, slog.Any("err", err))
	}
}

// Package nats is the bus over a NATS server or cluster, by plain publish and
// subscribe, without JetStream.
//
// Each subject that somebody here listens to is one subscription on the server,
// so traffic goes only where a listener is. That makes gaps in what one node
// hears of another normal, and numbers on the messages useless. Losses are
// known by other signs:
//
//   - a connection that broke: both sides of it may have missed something;
//   - the client's own list of unread messages was full;
//   - every node sends a numbered beat to all others, and a beat that is missing
//     means that messages beside it may be missing too. It finds what no
//     client sees, such as two servers of a cluster that lost each other for
//     longer than half a second.
//
// In a cluster, a new subscription is known to its own server when Subscribe
// returns, and to the others one hop later.
package nats

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"github.com/claudemesh/broker/core/bus"
	"github.com/claudemesh/broker/core/bus/internal/gaps"
	"github.com/claudemesh/broker/core/bus/internal/outbox"
	"github.com/claudemesh/broker/core/bus/internal/table"
)

// maxUnread is how many messages may wait for this node's subscribers.
const maxUnread = 16_384

var _ bus.Bus = (*Bus)(nil)

// Bus is one node's connection to NATS.
type Bus struct {
	// Set by New, never changed.
	opts Options
	nc   *nats.Conn
	in   chan *nats.Msg // what arrived on any subscription; never closed
	lost chan struct{}  // has a value when messages to us may have been lost
	stop chan struct{}  // closed when the sender has ended
	gone chan struct{}  // closed when the library calls nothing any more
	out  *outbox.Outbox
	up   atomic.Bool

	table table.Table
	g     sync.WaitGroup // sender and dispatcher

	// Owned by dispatch.
	seen gaps.Seen

	// Owned by send.
	sender *gaps.Sender

	mu      sync.Mutex // guards all below
	closed  bool
	closing chan struct{} // closed with the first Close
	subs    map[string]*subscription
	slow    map[*nats.Subscription]int // how many messages each has dropped, as far as was told
}

// subscription is one subject's on the server, for all who listen to it here.
type subscription struct {
	sub       *nats.Subscription
	listeners int
}

// New returns a bus, connected if a server answers. If none does, the bus is
// away and goes on trying; it is an error only when the options cannot be right
// or ctx is over.
func New(ctx context.Context, opts Options) (*Bus, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	client, err := opts.client()
	if err != nil {
		return nil, err
	}
	b := &Bus{
		opts:    opts,
		in:      make(chan *nats.Msg, maxUnread),
		lost:    make(chan struct{}, 1),
		stop:    make(chan struct{}),
		gone:    make(chan struct{}),
		closing: make(chan struct{}),
		out:     outbox.New(),
		sender:  gaps.NewSender(),
		subs:    map[string]*subscription{},
		slow:    map[*nats.Subscription]int{},
	}
	b.nc, err = nats.Connect(opts.servers(), append(client, b.events()...)...)
	if err != nil {
		return nil, fmt.Errorf("nats bus: connect to %s: %w", redacted(opts.URLs), err)
	}
	if err := b.start(ctx); err != nil {
		b.nc.Close()
		return nil, err
	}
	return b, nil
}

// start subscribes to the beats of others and starts the two loops.
func (b *Bus) start(ctx context.Context) error {
	if _, err := b.nc.ChanSubscribe(b.beatSubject(), b.in); err != nil {
		return fmt.Errorf("nats bus: subscribe: %w", err)
	}
	if b.nc.IsConnected() {
		b.flush()
		b.up.Store(true)
		b.out.Open()
	} else {
		b.opts.Log.Warn("bus away; it goes on trying", "servers", redacted(b.opts.URLs), "err", b.nc.LastError())
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("nats bus: %w", err)
	}
	b.g.Go(b.send)
	b.g.Go(b.dispatch)
	return nil
}

// Publish implements [bus.Bus].
func (b *Bus) Publish(subject string, data []byte) { b.out.Put(subject, data) }

// OnLost implements [bus.Bus].
func (b *Bus) OnLost(f func()) { b.table.SetLost(f) }

// Up implements [bus.Bus].
func (b *Bus) Up() bool {
	select {
	case <-b.closing:
		return false
	default:
		return b.up.Load()
	}
}

// Stats implements [bus.Bus].
func (b *Bus) Stats() bus.Stats {
	var s bus.Stats
	s.Published, s.Dropped = b.out.Counts()
	s.Received, s.Lost = b.table.Counts()
	return s
}

// Close implements [bus.Bus].
func (b *Bus) Close(ctx context.Context) error {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		b.out.Seal()
		close(b.closing)
	}
	b.mu.Unlock()
	err := b.wait(ctx)
	b.nc.Close() // ends a write that waits, so that the sender ends
	b.g.Wait()
	<-b.gone
	return err
}

// wait waits until all that was published is with the server.
func (b *Bus) wait(ctx context.Context) error {
	select {
	case <-b.stop:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("nats bus: close: %w", ctx.Err())
	}
}

// redacted is for messages: URLs may hold passwords.
func redacted(urls []string) string {
	hosts := make([]string, len(urls))
	for i, u := range urls {
		hosts[i] = u[strings.LastIndex(u, "@")+1:]
	}
	return strings.Join(hosts, ", ")
}

// flush waits until the server has read everything before, or does not answer.
func (b *Bus) flush() {
	if err := b.nc.FlushTimeout(flushTimeout); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		b.opts.Log.Debug("bus flush", "err", err)
	}
}

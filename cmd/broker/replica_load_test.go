package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// A long run: make ha.
var (
	replicaRounds = flag.Int("replica.rounds", 1, "how often each test of replicas cuts")
	replicaSends  = flag.Int("replica.sends", 100, "messages that are acknowledged between two cuts")
)

const (
	loadSenders    = 4
	loadRecipients = 4

	// loadWindow is how many messages a sender has under way, to all recipients.
	loadWindow = 8

	// loadPace is the pause between two messages of a sender: the tests are
	// about what is lost, and share the machine with what they test.
	loadPace = 5 * time.Millisecond

	// loadRetry is the pause before whatever failed is tried again.
	loadRetry = 10 * time.Millisecond
)

// load is senders and recipients that use the replicas of a fleet. Each numbers
// its messages for each recipient and sends what was not acknowledged again,
// under the same client_message_id, to whatever replica lives. Recipients come
// back under the same session key.
//
// One recipient in two confirms by client_ack, the others by pong alone.
type load struct {
	*ledger
	t     *testing.T
	fleet *fleet

	sendCtx, receiveCtx   context.Context
	stopSend, stopReceive context.CancelFunc
	senders, receivers    sync.WaitGroup
	clients               []*client
	keys                  []sdk.Key // of the recipients

	leftMu sync.Mutex
	left   []*dial.Peer // connections to replicas that hang
}

// client is one sender or recipient.
type client struct {
	id    dial.Identity
	likes int           // the replica that it prefers
	moved chan struct{} // one value: go home
}

// startLoad lets senders and recipients go. It returns when each recipient has
// been connected.
func startLoad(t *testing.T, f *fleet) *load {
	t.Helper()
	l := &load{ledger: newLedger(t), t: t, fleet: f}
	l.sendCtx, l.stopSend = context.WithCancel(context.Background())
	l.receiveCtx, l.stopReceive = context.WithCancel(context.Background())
	t.Cleanup(func() {
		l.end()
		if t.Failed() {
			t.Log(f.logs())
		}
	})
	for i := range loadRecipients {
		c := l.newClient(i)
		l.keys = append(l.keys, c.id.RoutingKey())
		here := make(chan struct{})
		l.receivers.Go(func() { l.receive(i, c, sync.OnceFunc(func() { close(here) })) })
		select {
		case <-here: // its session key is known from now on
		case <-time.After(replicaPatience):
			t.Fatal("a recipient cannot connect")
		}
	}
	for i := range loadSenders {
		s := &sender{load: l, number: i, client: l.newClient(i + 1), counts: make([]int, loadRecipients)}
		l.senders.Go(s.run)
	}
	return l
}

func (l *load) newClient(home int) *client {
	c := &client{id: l.fleet.session(), likes: home % len(l.fleet.replicas), moved: make(chan struct{}, 1)}
	l.clients = append(l.clients, c)
	return c
}

// end stops everybody at once.
func (l *load) end() {
	l.stopSend()
	l.stopReceive()
	l.senders.Wait()
	l.receivers.Wait()
	for _, p := range l.abandoned() {
		p.Abort()
	}
}

// home sends every client back to the replica that it prefers.
func (l *load) home() {
	for _, c := range l.clients {
		select {
		case c.moved <- struct{}{}:
		default:
		}
	}
}

// leave remembers a connection that nobody uses any more, and nobody closed.
func (l *load) leave(p *dial.Peer) {
	l.leftMu.Lock()
	defer l.leftMu.Unlock()
	l.left = append(l.left, p)
}

func (l *load) abandoned() []*dial.Peer {
	l.leftMu.Lock()
	defer l.leftMu.Unlock()
	return slices.Clone(l.left)
}

// flows waits until as many messages as a round has were acknowledged and have
// arrived since now.
func (l *load) flows() {
	l.t.Helper()
	l.moves(*replicaSends)
}

// moves waits until n messages were acknowledged and arrived since now.
func (l *load) moves(n int) {
	l.t.Helper()
	was := l.numbers()
	pushes := l.pushes()
	eventually(l.t, fmt.Sprint(n, " more messages"), func() bool {
		return l.numbers().acked-was.acked >= n && l.pushes()-pushes >= n
	})
}

// movesAt waits until some messages came from one replica since now.
func (l *load) movesAt(r *replica) {
	l.t.Helper()
	was := l.pushesOf(r.number)
	eventually(l.t, fmt.Sprintf("replica %d pushes", r.number), func() bool { return l.pushesOf(r.number) >= was+20 })
}

func (l *load) pushes() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.arrived)
}

// finish lets everything that was sent arrive, stops the replicas, and checks
// the books.
func (l *load) finish() counts {
	l.t.Helper()
	l.stopSend()
	l.senders.Wait()
	eventually(l.t, "every acknowledged message arrives", func() bool {
		missing := l.missing()
		return len(missing) == 0
	})
	l.end()
	l.fleet.stop()
	entries := l.fleet.verify()
	n := l.check()
	l.t.Logf("%d acknowledged, %d arrived, %d repeated, %d under a second id, %d overtook, %d refused, %d connections lost, %d audit entries",
		n.acked, n.arrived, n.repeated, n.seconds, n.overtook, n.refused, n.lost, entries)
	return n
}

// receive takes pushes over as many connections as it needs. connected is
// called after each hello.
func (l *load) receive(number int, c *client, connected func()) {
	ctx := l.receiveCtx
	for ctx.Err() == nil {
		at := l.fleet.living(c.likes)
		if at == nil {
			pause(ctx)
			continue
		}
		e := l.connected(number, at.replica)
		p, err := dial.Dial(ctx, at.url, c.id, dial.Options{
			PlainHello: number%2 == 1, ConfirmPushes: number%2 == 0,
			OnPush: func(_ *dial.Peer, push *wire.Push) { l.takePush(e, push) },
		})
		if err != nil {
			pause(ctx)
			continue
		}
		connected()
		if l.stay(ctx, p, at, c) {
			l.mu.Lock()
			e.left = true
			l.mu.Unlock()
		}
	}
}

// stay waits until a connection has ended or its owner should go elsewhere. It
// reports whether the connection was left as it is.
func (l *load) stay(ctx context.Context, p *dial.Peer, at *place, c *client) (left bool) {
	select {
	case <-p.Done():
		l.loss()
	case <-ctx.Done():
		p.Abort()
	case <-c.moved:
		p.Abort()
	case <-at.gone:
		l.leave(p)
		return true
	}
	return false
}

// pause waits a little.
func pause(ctx context.Context) {
	select {
	case <-time.After(loadRetry):
	case <-ctx.Done():
	}
}

// sender sends until it is told to stop, and then until everything that it has
// sent is acknowledged.
type sender struct {
	*load
	*client
	number int
	counts []int // messages so far, by recipient

	open sync.Mutex
	jobs []*job // not acknowledged, in order
	next int
}

// job is a message.
type job struct {
	text, target string
	number       int
	attempts     int
	flying       bool      // it waits for its answer on the connection of now
	after        time.Time // not to be tried before
}

func (s *sender) run() {
	for !s.finished() && s.receiveCtx.Err() == nil {
		at := s.fleet.living(s.likes)
		if at == nil {
			pause(s.receiveCtx)
			continue
		}
		p, err := dial.Dial(s.receiveCtx, at.url, s.id, dial.Options{OnPush: func(*dial.Peer, *wire.Push) {}})
		if err != nil {
			pause(s.receiveCtx)
			continue
		}
		s.use(p, at)
	}
}

// finished reports whether there is nothing left to do.
func (s *sender) finished() bool {
	s.open.Lock()
	defer s.open.Unlock()
	return s.sendCtx.Err() != nil && len(s.jobs) == 0
}

// use sends over one connection until it ends, or everything is done.
func (s *sender) use(p *dial.Peer, at *place) {
	conn, place := s.sends(), 0
	s.open.Lock()
	for _, j := range s.jobs {
		j.flying = false
	}
	s.open.Unlock()
	over, cancel := context.WithCancel(s.receiveCtx)
	var left atomic.Bool
	var staying sync.WaitGroup
	staying.Go(func() {
		defer cancel()
		left.Store(s.stay(over, p, at, s.client))
	})
	for over.Err() == nil && !s.finished() {
		if j := s.take(); j != nil {
			place++
			s.send(p, j, ack{sender: s.number, number: j.number, conn: conn, place: place}, &left)
		}
		select {
		case <-time.After(loadPace):
		case <-over.Done():
		}
	}
	cancel()
	staying.Wait()
}

// take returns what to send next: what was sent before goes first. nil: the
// window is full.
func (s *sender) take() *job {
	s.open.Lock()
	defer s.open.Unlock()
	flying := 0
	for _, j := range s.jobs {
		if !j.flying && time.Now().After(j.after) {
			j.flying = true
			return j
		}
		flying++
	}
	if flying >= loadWindow || s.sendCtx.Err() != nil {
		return nil
	}
	to := s.next % loadRecipients
	s.next++
	s.counts[to]++
	j := &job{
		text: fmt.Sprintf("%d to %d: %d", s.number, to, s.counts[to]), target: s.keys[to].String(),
		number: s.next, flying: true,
	}
	s.jobs = append(s.jobs, j)
	s.begins(j.text)
	return j
}

// send hands a message over. What it refuses on a connection that was left does
// not count: the session lives elsewhere by then.
func (s *sender) send(p *dial.Peer, j *job, promise ack, left *atomic.Bool) {
	s.open.Lock()
	j.attempts++
	promise.first = j.attempts == 1
	s.open.Unlock()
	_ = p.SendAsync(j.target, sdk.PriorityNow, "", j.text, dial.SendOptions{ClientMessageID: j.text}, func(a wire.Ack, err error) {
		if err != nil || (!a.Queued && left.Load()) {
			return // the next connection sends it again
		}
		promise.id = a.MessageID
		s.answered(j, a, promise)
	})
}

// answered is called once for each answer, also by connections that were left.
func (s *sender) answered(j *job, a wire.Ack, promise ack) {
	switch {
	case a.Queued:
		s.takeAck(j.text, promise)
	case strings.Contains(a.Error, "unavailable"):
		s.refusal()
	default:
		s.t.Errorf("%s was refused: %s", j.text, a.Error)
	}
	s.open.Lock()
	defer s.open.Unlock()
	if a.Queued {
		s.jobs = slices.DeleteFunc(s.jobs, func(x *job) bool { return x == j })
		return
	}
	j.flying, j.after = false, time.Now().Add(10*loadRetry)
}

package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claudemesh/broker/core/commit"
	"github.com/claudemesh/broker/core/delivery"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// night is a broker with one recipient, in a bubble of time.
type night struct {
	t         *testing.T
	queue     delivery.Queue
	committer *commit.Committer
	engine    *delivery.Engine
	peer      *peer
	stop      func()
	n         int // messages sent
}

// newNight starts a broker with its sweeps. It ends with the test.
func newNight(t *testing.T, st committing, others delivery.Others) *night {
	t.Helper()
	n := &night{t: t, queue: st, committer: newCommitter(st)}
	engine, dir := newEngine(t, st, n.committer, others, 24*time.Hour)
	n.engine, n.peer = engine, newPeer(engine, dir, false)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); engine.Sweep(ctx) }()
	n.stop = func() {
		if cancel == nil {
			return
		}
		cancel()
		cancel = nil
		<-done
		engine.Close()
		if err := n.committer.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(n.stop)
	return n
}

// committing is a store that a broker runs on.
type committing interface {
	delivery.Queue
	store.Committer
}

// send accepts the next message, held back until a time unless that is zero, and
// returns it when it is on disk.
func (n *night) send(p sdk.Priority, until time.Time) *store.Message {
	n.t.Helper()
	n.n++
	m := &store.Message{
		ID: fmt.Sprint("message ", n.n), MeshID: "mesh", SenderMemberID: "ada", SenderMember: sdk.Key{2},
		TargetSpec: recipient.String(), Priority: p, NotBefore: until,
	}
	done := make(chan error, 1)
	n.committer.Submit(work{n.engine.Accept(m, []sdk.Recipient{{MemberID: "bo", Member: recipient}}, nil, time.Now()), done})
	if err := <-done; err != nil {
		n.t.Fatal(err)
	}
	return m
}

// want lets everything come to rest and compares what has arrived. What is on its
// way has 200 ms of the bubble's time: SQLite sleeps while others are in its way.
func (n *night) want(when string, ids ...string) {
	n.t.Helper()
	var got []string
	for range 200 {
		synctest.Wait()
		n.peer.mu.Lock()
		got = slices.Clone(n.peer.first)
		n.peer.mu.Unlock()
		if slices.Equal(got, ids) {
			return
		}
		time.Sleep(time.Millisecond)
	}
	n.t.Errorf("%s: got %q, want %q", when, got, ids)
}

func TestHeldMessageIsDeliveredAtItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNight(t, openStore(t), nil)
		n.peer.box.Connect(n.peer.conn)
		until := time.Now().Add(10 * time.Minute)
		n.send(sdk.PriorityNow, until)
		time.Sleep(time.Until(until) - time.Millisecond)
		n.want("a millisecond before")
		time.Sleep(time.Millisecond)
		n.want("at its time", "message 1")
		n.peer.conn.confirmAll()
		time.Sleep(time.Minute)
		n.want("a minute later", "message 1")
		if got := n.engine.Counters.Released.Load(); got != 1 {
			t.Errorf("released %d", got)
		}
	})
}

// A hold that begins while a later one is awaited moves the timer.
func TestShorterHoldIsNotMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNight(t, openStore(t), nil)
		n.peer.box.Connect(n.peer.conn)
		now := time.Now()
		n.send(sdk.PriorityNext, now.Add(time.Hour))
		n.send(sdk.PriorityNext, now.Add(100*time.Millisecond))
		n.send(sdk.PriorityNext, now.Add(300*time.Millisecond))
		time.Sleep(101 * time.Millisecond)
		n.want("after the shorter hold", "message 2")
		time.Sleep(200 * time.Millisecond)
		n.want("after the next", "message 2", "message 3")
	})
}

func TestHeldMessageRespectsABusyRecipient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNight(t, openStore(t), nil)
		n.peer.box.Connect(n.peer.conn)
		n.peer.box.Idle(false)
		until := time.Now().Add(time.Minute)
		n.send(sdk.PriorityNext, until)
		n.send(sdk.PriorityNow, until)
		time.Sleep(2 * time.Minute)
		n.want("while it is busy", "message 2")
		n.peer.box.Idle(true)
		n.want("when it is idle", "message 2", "message 1")
	})
}

func TestHeldMessageWaitsForAMemberThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNight(t, openStore(t), nil)
		n.send(sdk.PriorityNext, time.Now().Add(time.Minute))
		n.peer.box.Connect(n.peer.conn)
		n.want("when it comes too early")
		n.peer.box.Disconnect(n.peer.conn)
		time.Sleep(90 * time.Second)
		n.want("while it is away")
		n.peer.box.Connect(n.peer.conn)
		n.want("when it comes back", "message 1")
	})
}

// More messages than one transaction releases arrive in the order in which they
// were accepted; what is not held goes by.
func TestHeldMessagesKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNight(t, openStore(t), nil)
		n.peer.box.Connect(n.peer.conn)
		until := time.Now().Add(5 * time.Minute)
		const count = 700
		var want []string
		for range count {
			want = append(want, n.send(sdk.PriorityNext, until).ID)
		}
		open := n.send(sdk.PriorityNext, time.Time{})
		n.want("at night", open.ID)
		n.peer.conn.confirmAll()
		time.Sleep(time.Until(until))
		for range 300 { // as often as the unconfirmed bytes ask for
			time.Sleep(time.Second)
			synctest.Wait()
			n.peer.conn.confirmAll()
		}
		n.want("in the morning", append([]string{open.ID}, want...)...)
		if n.peer.again != nil {
			t.Errorf("pushed again: %q", n.peer.again)
		}
	})
}

func TestHeldMessagesSurviveARestart(t *testing.T) {
	for name, down := range map[string]time.Duration{"before the time": time.Second, "beyond it": 30 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := openStore(t)
				n := newNight(t, st, nil)
				until := time.Now().Add(time.Minute)
				n.send(sdk.PriorityNow, until)
				n.stop()
				time.Sleep(down)
				n = newNight(t, st, nil)
				n.peer.box.Connect(n.peer.conn)
				if left := time.Until(until); left > 0 {
					time.Sleep(left - time.Millisecond)
					n.want("too early")
					time.Sleep(time.Millisecond)
				}
				n.want("in time", "message 1")
			})
		})
	}
}

// The time to live, an hour here, counts from the end of the hold.
func TestHeldMessageExpiresAfterItsHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNight(t, openStore(t), nil)
		until := time.Now().Add(2 * time.Minute)
		m := n.send(sdk.PriorityNow, until)
		if !m.ExpiresAt.Equal(until.Add(time.Hour)) {
			t.Errorf("expires at %v", m.ExpiresAt)
		}
		time.Sleep(time.Until(m.ExpiresAt) - time.Second)
		synctest.Wait()
		if got := n.engine.Counters.Expired.Load(); got != 0 {
			t.Errorf("expired %d before its end", got)
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if got := n.engine.Counters.Expired.Load(); got != 1 {
			t.Errorf("expired %d after its end", got)
		}
		n.peer.box.Connect(n.peer.conn)
		n.want("too late")
	})
}

func TestHoldIsPutInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNight(t, openStore(t), nil)
		now := time.Now()
		for name, tt := range map[string]struct{ ask, want time.Time }{
			"none":            {time.Time{}, time.Time{}},
			"a past one":      {now.Add(-time.Hour), time.Time{}},
			"one that ends":   {now, time.Time{}},
			"a fine one":      {now.Add(time.Second + 1), now.Add(time.Second + time.Millisecond)},
			"a whole one":     {now.Add(time.Second), now.Add(time.Second)},
			"one without end": {time.Unix(1<<60, 0), now.Add(366 * 24 * time.Hour)},
		} {
			if m := n.send(sdk.PriorityNow, tt.ask); !m.NotBefore.Equal(tt.want) {
				t.Errorf("%s: held until %v, want %v", name, m.NotBefore, tt.want)
			}
		}
	})
}

// turns is another node that holds the lock, or does not.
type turns struct {
	lease
	taken atomic.Bool
	asked atomic.Int64
}

func (o *turns) Alone(ctx context.Context, _ string, f func(context.Context) error) (bool, error) {
	o.asked.Add(1)
	if o.taken.Load() {
		return false, nil
	}
	return true, f(ctx)
}

// What another node has accepted is released here when that node is gone, and
// not while it is at it.
func TestHeldMessageOfAnotherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, others := openStore(t), new(turns)
		others.taken.Store(true)
		others.held.Store(true)
		n := newNight(t, st, others)
		n.peer.box.Connect(n.peer.conn)
		synctest.Wait()
		until := time.Now().Add(3 * time.Second)
		m := note()
		m.ID, m.Seq, m.NotBefore, m.ExpiresAt = "elsewhere", 7, until, until.Add(time.Hour)
		err := st.Commit(t.Context(), &store.Batch{
			Messages: []*store.Message{m}, Held: []store.Delivery{{Seq: 7, Recipient: recipient, MemberID: "bo"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Second)
		n.want("while another node is at it")
		if others.asked.Load() == 0 {
			t.Error("did not ask")
		}
		others.taken.Store(false)
		time.Sleep(500 * time.Millisecond)
		n.want("when it is not", "elsewhere")
	})
}

// unsure is a store that fails at first.
type unsure struct {
	committing
	fails atomic.Int64
}

func (q *unsure) NextRelease(ctx context.Context) (time.Time, error) {
	if q.fails.Add(-1) >= 0 {
		return time.Time{}, errors.New("the disk is on fire")
	}
	return q.committing.NextRelease(ctx)
}

func TestReleaseIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &unsure{committing: openStore(t)}
		n := newNight(t, q, nil)
		n.peer.box.Connect(n.peer.conn)
		n.send(sdk.PriorityNow, time.Now().Add(time.Minute))
		time.Sleep(time.Minute - time.Second)
		synctest.Wait()
		q.fails.Store(2)
		time.Sleep(2 * time.Second)
		n.want("after two failures", "message 1")
	})
}

// Many that are due at once are all told, each delivery by itself.
func TestHeldMessageToMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := openStore(t)
		committer := newCommitter(st)
		engine, dir := newEngine(t, st, committer, nil, time.Hour)
		var (
			audience []sdk.Recipient
			peers    []*peer
		)
		for i := range 300 {
			k := sdk.Key{9, byte(i), byte(i >> 8)}
			p := &peer{confirmed: map[string]bool{}}
			p.box = engine.NewMailbox(delivery.Identity{Mesh: "mesh", Member: k})
			p.conn = &conn{peer: p}
			dir.add(k, p.box, false)
			p.box.Connect(p.conn)
			peers, audience = append(peers, p), append(audience, sdk.Recipient{MemberID: fmt.Sprint(i), Member: k})
		}
		m := note()
		m.TargetSpec, m.NotBefore = "*", time.Now().Add(time.Hour)
		done := make(chan error, 1)
		a := engine.Accept(m, audience, nil, time.Now())
		committer.Submit(work{a, done})
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if a.Pushed != 0 || a.Waiting != len(audience) {
			t.Errorf("pushed %d, waiting %d", a.Pushed, a.Waiting)
		}
		if next, err := engine.ReleaseDue(t.Context(), time.Now()); err != nil || !next.Equal(m.NotBefore) {
			t.Errorf("next at %v, error %v", next, err)
		}
		time.Sleep(time.Hour)
		if next, err := engine.ReleaseDue(t.Context(), time.Now()); err != nil || !next.IsZero() {
			t.Errorf("next at %v, error %v", next, err)
		}
		engine.Idle()
		for i, p := range peers {
			if len(p.first) != 1 {
				t.Errorf("peer %d got %q", i, p.first)
			}
		}
		engine.Close()
		if err := committer.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

package presence_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/commit"
	"github.com/claudemesh/broker/core/delivery"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/roster"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// A message costs what its recipients cost, however many sessions the mesh has.
// The allocations are held by a test; the time is for whoever runs
//
//	go test ./core/presence -run xxx -bench Send -count 10
//
// to look at: among ten peers it stays the same, to anyone it grows only by
// the processor's caches missing more.
func TestSendAllocatesTheSameInALargeMesh(t *testing.T) {
	var first float64
	for i, peers := range []int{10, 100, 1000} {
		c := newCrowd(t, peers)
		n := testing.AllocsPerRun(1000, func() { c.send(10) })
		if i == 0 {
			first = n
		}
		if n > first+0.5 {
			t.Errorf("%d peers: %.1f allocations a message, want %.1f as among 10", peers, n, first)
		}
	}
}

func BenchmarkSend(b *testing.B) {
	for _, peers := range []int{10, 100, 1000, 10_000} {
		c := newCrowd(b, peers)
		b.Run(fmt.Sprintf("among=ten/peers=%d", peers), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.send(10)
			}
		})
		b.Run(fmt.Sprintf("among=all/peers=%d", peers), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.send(peers)
			}
		})
	}
}

const crowdMesh = "crowd"

// crowd is a mesh with many sessions, on connections and a disk that take
// everything at once.
type crowd struct {
	tb       testing.TB
	engine   *delivery.Engine
	roster   *roster.Roster
	sessions []*presence.Session
	links    []*link
	spec     string // as long as a key, which makes a message a direct one
	body     string
	dice     uint64
	env      sdk.Envelope
	batch    store.Batch
}

func newCrowd(tb testing.TB, peers int) *crowd {
	tb.Helper()
	log := slog.New(slog.DiscardHandler)
	engine, err := delivery.NewEngine(tb.Context(), delivery.Options{
		ExpireAfter: time.Hour, AckTimeout: time.Minute, UnconfirmedBytes: 1 << 20, DrainBatch: 16,
	}, emptyQueue{}, quickCommitter{}, encode, log)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(engine.Close)
	dir := presence.NewDirectory(presence.Options{Grace: time.Hour, MeshLimit: peers}, engine, noJournal{}, log)
	engine.Use(dir)
	c := &crowd{tb: tb, engine: engine, roster: roster.New(nil, dir, nil, nil), dice: 1,
		spec: strings.Repeat("a", 2*sdk.KeySize), body: strings.Repeat("b", 512)}
	for n := range peers {
		c.join(dir, n)
	}
	for deadline := time.Now().Add(30 * time.Second); c.busy(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatal("waited 30 s for the mailboxes to look into the store")
		}
	}
	return c
}

// join adds the session of one more member.
func (c *crowd) join(dir *presence.Directory, n int) {
	c.tb.Helper()
	member := &store.Member{ID: fmt.Sprint("member ", n), MeshID: crowdMesh, Key: keyOf(uint64(2*n + 1))}
	s, err := dir.Attach(presence.Arrival{Member: member, Key: keyOf(uint64(2*n + 2)), Role: presence.RoleSession})
	if err != nil {
		c.tb.Fatal(err)
	}
	l := new(link)
	dir.Online(s, l)
	c.sessions, c.links = append(c.sessions, s.Session), append(c.links, l)
}

// busy reports whether some mailbox does not take messages yet.
func (c *crowd) busy() bool {
	for n := range c.sessions {
		from := c.sessions[(n+1)%len(c.sessions)]
		if c.deliver(from, c.sessions[n]) == 0 {
			return true
		}
	}
	return false
}

// send takes one message between two of the first peers from its target to the
// confirmation of its recipient.
func (c *crowd) send(peers int) {
	from, to := c.pick(peers), c.pick(peers)
	if from == to {
		to = (to + 1) % peers
	}
	if c.deliver(c.sessions[from], c.sessions[to]) != 1 {
		c.tb.Fatal("the message was not pushed")
	}
}

func (c *crowd) pick(peers int) int {
	c.dice = c.dice*6364136223846793005 + 1442695040888963407
	return int(c.dice >> 33 % uint64(peers))
}

func (c *crowd) deliver(from, to *presence.Session) (pushed int) {
	env := &c.env
	env.Reset()
	env.Kind, env.Mesh, env.Directory = sdk.KindSend, crowdMesh, c.roster
	env.Sender.Member, env.Sender.Session = from.Member, from.Key
	env.Target = sdk.Target{Kind: sdk.TargetKey, Key: to.Key}
	audience, err := env.Audience(context.Background())
	if err != nil {
		c.tb.Fatal(err)
	}
	a := c.engine.Accept(&store.Message{
		ID: "message", MeshID: crowdMesh, SenderMember: from.Member, SenderSession: from.Key,
		TargetSpec: c.spec, Priority: sdk.PriorityNext, Ciphertext: c.body,
	}, audience, from.Box, time.Now())
	for _, r := range audience {
		if r.Session == to.Key {
			l := c.links[linkOf(r.Session)]
			to.Box.Ponged(l, l.number)
		}
	}
	c.batch.Reset()
	a.Fill(&c.batch)
	a.Done(nil)
	return a.Pushed
}

// keyOf returns the nth key: spread like real ones, and with its number in it.
func keyOf(n uint64) (k sdk.Key) {
	binary.BigEndian.PutUint64(k[:], n*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(k[24:], n)
	return k
}

// linkOf returns the place of a session's link.
func linkOf(k sdk.Key) int { return int(binary.BigEndian.Uint64(k[24:]))/2 - 1 }

// link takes every push.
type link struct{ number uint64 }

// Full implements delivery.Link: there is always room.
func (*link) Full(int) bool { return false }

func (l *link) Push([]byte) (uint64, bool) { l.number++; return l.number, true }
func (l *link) Send([]byte) bool           { return true }
func (l *link) CloseWith(int, string)      {}
func (l *link) LastSeen() time.Time        { return time.Now() }

func encode(dst []byte, m *store.Message) []byte { return append(dst, m.Ciphertext...) }

// emptyQueue is a store in which nothing waits.
type emptyQueue struct{ delivery.Queue }

func (emptyQueue) LastSeq(context.Context) (int64, error) { return 0, nil }

func (emptyQueue) Pending(context.Context, store.Drain) ([]store.Waiting, error) { return nil, nil }

// quickCommitter writes at once, to nowhere.
type quickCommitter struct{}

func (quickCommitter) Submit(w commit.Work)          { w.Done(nil) }
func (quickCommitter) Settle(store.Settlement) int64 { return 0 }
func (quickCommitter) Settled() int64                { return 0 }
func (quickCommitter) Barrier(context.Context) error { return nil }

// noJournal writes nothing down.
type noJournal struct{}

func (noJournal) SavePresence(*store.Presence) {}
func (noJournal) SaveState(*store.State)       {}

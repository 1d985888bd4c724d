package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claudemesh/broker/core/commit"
	"github.com/claudemesh/broker/core/delivery"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/freshtest"
	"github.com/claudemesh/broker/core/store/sqlite"
	"github.com/claudemesh/broker/sdk"
)

// The model runs random histories of sends, connects, cuts, stalls,
// confirmations, status changes and crashes against the real engine over a real
// store, and then lets everybody come back and confirm. It checks that
//
//   - every acknowledged message arrived at everyone it was addressed to,
//   - nobody got what was not for them, or their own message back,
//   - first arrivals keep the order of each sender, within a priority, of what
//     was held back and of what was not,
//   - nothing that was held back arrives before its time,
//   - what was confirmed is not pushed again, unless the broker crashed,
//   - in the end the queue is empty.
//
// rapid prints the seed and the shortest history of a failure.
func TestDeliveryKeepsItsPromises(t *testing.T) {
	st := openStore(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, st)
		rt.Repeat(map[string]func(*rapid.T){
			"send":      w.send,
			"connect":   w.connect,
			"cut":       w.cut,
			"confirm":   w.confirm,
			"busy":      w.busy,
			"stall":     w.stall,
			"crash":     w.crash,
			"late acks": w.lateAcks,
			"release":   w.release,
			"":          func(*rapid.T) {},
		})
		w.settle()
	})
}

func openStore(tb testing.TB) *sqlite.Store {
	tb.Helper()
	st, err := sqlite.Open(context.Background(), sqlite.Options{
		Path: freshtest.Path(tb), Durability: sqlite.Process,
	})
	if err != nil {
		tb.Fatalf("open store: %v", err)
	}
	tb.Cleanup(func() {
		if err := st.Close(); err != nil {
			tb.Errorf("close store: %v", err)
		}
	})
	return st
}

// world is one mesh with a few members, some of which have several sessions.
type world struct {
	t     *rapid.T
	st    *sqlite.Store
	mesh  string
	peers []*peer
	sent  []*message
	due   time.Time // of what is held back
	early *early

	// Replaced by a crash.
	disk      *disk
	committer *commit.Committer
	engine    *delivery.Engine
	dir       *directory
}

// peer is a session with its client.
type peer struct {
	name   string
	id     delivery.Identity
	member string

	box  *delivery.Mailbox
	conn *conn

	mu        sync.Mutex
	early     *early
	first     []string        // message ids by first arrival
	confirmed map[string]bool // confirmed, as far as the client knows
	again     []string        // pushed again after they were confirmed
}

// conn is a connection of a peer: what the client has read of it.
type conn struct {
	peer    *peer
	mu      sync.Mutex
	number  uint64
	pushes  []pushed
	stalled bool
}

type pushed struct {
	number uint64
	id     string
}

// message is a send, with what became of it.
type message struct {
	id       string
	n        int
	from     *peer
	to       []*peer // who must get it, if it was acknowledged
	priority sdk.Priority
	held     bool
	acked    chan error
}

// early is which messages must not arrive yet, and which did all the same. Nil
// expects nothing.
type early struct {
	mu      sync.Mutex
	waiting map[string]bool
	arrived []string
}

func (e *early) hold(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waiting[id] = true
}

func (e *early) release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.waiting)
}

func (e *early) got(id string) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.waiting[id] {
		e.arrived = append(e.arrived, id)
	}
}

func newWorld(t *rapid.T, st *sqlite.Store) *world {
	w := &world{
		t: t, st: st, mesh: identity.NewID(), due: time.Now().Add(time.Hour).Truncate(time.Millisecond), early: &early{waiting: map[string]bool{}},
	}
	key := func(name string) sdk.Key {
		var k sdk.Key
		copy(k[:], name)
		return k
	}
	add := func(member, session string, control, acks bool) {
		id := delivery.Identity{Mesh: w.mesh, Member: key("member " + member), Control: control, Acks: acks}
		name := member
		if session != "" {
			id.Session, name = key("session "+member+session), member+"/"+session
		}
		w.peers = append(w.peers, &peer{name: name, id: id, member: member, early: w.early, confirmed: map[string]bool{}})
	}
	add("ada", "1", false, false)
	add("ada", "2", false, true)
	add("bo", "1", false, false)
	add("cy", "", true, true)
	add("cy", "1", false, true)
	add("di", "", false, false)
	w.boot()
	return w
}

// boot starts a broker process on the store.
func (w *world) boot() {
	log := slog.New(slog.DiscardHandler)
	w.disk = &disk{Store: w.st}
	w.committer = commit.New(w.disk, store.NewPatience(0, log), log)
	engine, err := delivery.NewEngine(context.Background(), delivery.Options{
		ExpireAfter: time.Hour, KeepDelivered: time.Hour, AckTimeout: time.Minute,
		UnconfirmedBytes: 200, DrainBatch: 3,
	}, w.st, w.committer, func(dst []byte, m *store.Message) []byte { return append(dst, m.ID...) }, log)
	if err != nil {
		w.t.Fatalf("engine: %v", err)
	}
	w.engine, w.dir = engine, &directory{boxes: map[sdk.Key][]*delivery.Mailbox{}}
	engine.Use(w.dir)
	for _, p := range w.peers {
		p.conn = nil
		p.box = engine.NewMailbox(p.id)
		w.dir.add(p.id.Member, p.box, p.id.Control)
		if !p.id.Session.IsZero() {
			w.dir.add(p.id.Session, p.box, p.id.Control)
		}
	}
}

func (w *world) close() {
	w.engine.Close()
	if err := w.committer.Close(context.Background()); err != nil {
		w.t.Errorf("close committer: %v", err)
	}
}

// directory is the mailboxes by key.
type directory struct {
	boxes map[sdk.Key][]*delivery.Mailbox
}

func (d *directory) add(k sdk.Key, m *delivery.Mailbox, first bool) {
	d.boxes[k] = append(d.boxes[k], m)
	if first {
		slices.Reverse(d.boxes[k])
	}
}

func (d *directory) Mailboxes(_ string, k sdk.Key, dst []*delivery.Mailbox) []*delivery.Mailbox {
	return append(dst, d.boxes[k]...)
}

// Elsewhere implements delivery.Directory: there is one node.
func (*directory) Elsewhere(string, sdk.Key) bool { return false }

// DaemonElsewhere implements delivery.Directory.
func (*directory) DaemonElsewhere(string, sdk.Key) bool { return false }

func (d *directory) EachMailbox(f func(*delivery.Mailbox)) {
	seen := map[*delivery.Mailbox]bool{}
	for _, list := range d.boxes {
		for _, m := range list {
			if !seen[m] {
				seen[m] = true
				f(m)
			}
		}
	}
}

// Full implements delivery.Link: there is always room.
func (*conn) Full(int) bool { return false }

// Push implements delivery.Link: the client reads at once, unless it stalls.
func (c *conn) Push(frame []byte) (uint64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stalled {
		return 0, false
	}
	c.number++
	id := string(frame)
	c.pushes = append(c.pushes, pushed{c.number, id})
	c.peer.arrived(id)
	return c.number, true
}

func (p *peer) arrived(id string) {
	p.early.got(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.confirmed[id] {
		p.again = append(p.again, id)
	}
	if !slices.Contains(p.first, id) {
		p.first = append(p.first, id)
	}
}

// confirmAll confirms everything that the client has read.
func (c *conn) confirmAll() {
	c.mu.Lock()
	pushes := slices.Clone(c.pushes)
	c.pushes = c.pushes[:0]
	c.mu.Unlock()
	if len(pushes) == 0 {
		return
	}
	if c.peer.id.Acks {
		for _, x := range pushes {
			c.peer.box.Acked(x.id, "")
		}
	} else {
		c.peer.box.Ponged(c, pushes[len(pushes)-1].number)
	}
	c.peer.mu.Lock()
	defer c.peer.mu.Unlock()
	for _, x := range pushes {
		c.peer.confirmed[x.id] = true
	}
}

// work is a send on its way to the disk.
type work struct {
	*delivery.Acceptance
	acked chan error
}

func (k work) Done(err error) {
	k.Acceptance.Done(err)
	k.acked <- err
}

// send addresses a member, a session, or everybody.
func (w *world) send(t *rapid.T) {
	from := w.draw(t, "from")
	m := &message{
		id: fmt.Sprintf("%06d-%s", len(w.sent), from.name), n: len(w.sent), from: from,
		priority: sdk.Priority(rapid.IntRange(0, 2).Draw(t, "priority")), acked: make(chan error, 1),
	}
	spec, audience := w.address(t, m)
	if len(audience) == 0 {
		return
	}
	w.sent = append(w.sent, m)
	var until time.Time
	if m.held = rapid.Bool().Draw(t, "held"); m.held {
		until = w.due
		w.early.hold(m.id)
	}
	a := w.engine.Accept(&store.Message{
		ID: m.id, MeshID: w.mesh, SenderMemberID: from.member, SenderMember: from.id.Member, SenderSession: from.id.Session,
		TargetSpec: spec, Priority: m.priority, Nonce: "n", Ciphertext: "c", NotBefore: until,
	}, audience, from.box, time.Now())
	w.committer.Submit(work{a, m.acked})
}

// address draws a target and says who has to get the message: each addressed
// session, or, of a member, at least one of those that may.
func (w *world) address(t *rapid.T, m *message) (spec string, audience []sdk.Recipient) {
	target := w.draw(t, "to")
	recipient := func(p *peer) sdk.Recipient {
		return sdk.Recipient{MemberID: p.member, Member: p.id.Member, Session: p.id.Session}
	}
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 0: // one session
		if target == m.from || target.id.Session.IsZero() {
			return "", nil
		}
		m.to = []*peer{target}
		return target.id.Session.String(), []sdk.Recipient{recipient(target)}
	case 1: // a member, who is somebody else
		if target.member == m.from.member {
			return "", nil
		}
		return target.id.Member.String(), []sdk.Recipient{{MemberID: target.member, Member: target.id.Member}}
	default:
		for _, p := range w.peers {
			if p.member != m.from.member {
				m.to = append(m.to, p)
				audience = append(audience, recipient(p))
			}
		}
		return "*", audience
	}
}

func (w *world) draw(t *rapid.T, label string) *peer {
	names := make([]string, len(w.peers))
	for i, p := range w.peers {
		names[i] = p.name
	}
	return w.peers[slices.Index(names, rapid.SampledFrom(names).Draw(t, label))]
}

func (w *world) connect(t *rapid.T) {
	p := w.draw(t, "peer")
	w.online(p)
}

func (w *world) online(p *peer) {
	p.conn = &conn{peer: p}
	p.box.Connect(p.conn)
}

func (w *world) cut(t *rapid.T) {
	p := w.draw(t, "peer")
	if p.conn != nil {
		p.box.Disconnect(p.conn)
		p.conn = nil
	}
}

func (w *world) confirm(t *rapid.T) {
	p := w.draw(t, "peer")
	if p.conn != nil {
		p.conn.confirmAll()
	}
}

func (w *world) busy(t *rapid.T) {
	p := w.draw(t, "peer")
	p.box.Idle(rapid.Bool().Draw(t, "idle"))
}

func (w *world) stall(t *rapid.T) {
	p := w.draw(t, "peer")
	if p.conn != nil {
		p.conn.mu.Lock()
		p.conn.stalled = true // as a full outbox does; the hub then closes the peer
		p.conn.mu.Unlock()
	}
}

func (w *world) lateAcks(*rapid.T) { w.engine.RepeatLate(time.Now().Add(time.Hour)) }

// release ends the hold of all that was sent so far: their time has come.
func (w *world) release(*rapid.T) {
	w.early.release()
	if err := w.committer.Barrier(context.Background()); err != nil {
		w.t.Fatalf("barrier: %v", err)
	}
	if next, err := w.engine.ReleaseDue(context.Background(), w.due); err != nil || !next.IsZero() {
		w.t.Fatalf("release: next at %v, error %v", next, err)
	}
}

// disk writes nothing any more once the process is dead.
type disk struct {
	*sqlite.Store
	dead atomic.Bool
}

func (d *disk) Commit(ctx context.Context, b *store.Batch) error {
	if d.dead.Load() {
		return errors.New("the process is dead")
	}
	return d.Store.Commit(ctx, b)
}

// crash forgets everything that is not on disk. What was not acknowledged by
// then is not promised to anybody.
func (w *world) crash(*rapid.T) {
	w.disk.dead.Store(true)
	w.close()
	for _, p := range w.peers {
		p.mu.Lock()
		clear(p.confirmed) // marks may not have reached the disk
		p.mu.Unlock()
	}
	w.boot()
}

// settle brings everybody back, lets them confirm everything, and checks.
func (w *world) settle() {
	for _, p := range w.peers {
		p.box.Idle(true)
		w.online(p)
	}
	w.release(nil)
	w.waitFor("the queue to empty", func() bool {
		for _, p := range w.peers {
			p.conn.confirmAll()
		}
		if err := w.committer.Barrier(context.Background()); err != nil {
			w.t.Fatalf("barrier: %v", err)
		}
		return w.waiting() == 0
	})
	w.close() // nobody pushes any more
	for _, m := range w.sent {
		if err := <-m.acked; err == nil {
			w.checkArrived(m)
		}
	}
	for _, p := range w.peers {
		w.checkPeer(p)
	}
	if len(w.early.arrived) > 0 {
		w.t.Errorf("arrived before their time: %v", w.early.arrived)
	}
}

// waiting counts what the store holds for anybody here.
func (w *world) waiting() int {
	n := 0
	for _, p := range w.peers {
		rows, err := w.st.Pending(context.Background(), store.Drain{
			Mesh: w.mesh, Keys: []sdk.Key{p.id.Member, p.id.Session}, Max: sdk.PriorityLow, Now: time.Now(), Limit: 100,
		})
		if err != nil {
			w.t.Fatalf("pending: %v", err)
		}
		n += len(rows) + p.box.Unconfirmed()
	}
	return n
}

func (w *world) waitFor(what string, ok func() bool) {
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited 20 s for %s", what)
		}
	}
}

func (w *world) checkArrived(m *message) {
	for _, p := range m.to {
		if !slices.Contains(p.first, m.id) {
			w.t.Errorf("%s was acknowledged and never reached %s", m.id, p.name)
		}
	}
	if len(m.to) > 0 {
		return
	}
	for _, p := range w.peers {
		if slices.Contains(p.first, m.id) {
			return
		}
	}
	w.t.Errorf("%s was acknowledged and reached nobody", m.id)
}

// checkPeer looks at what one session got.
func (w *world) checkPeer(p *peer) {
	byID := map[string]*message{}
	for _, m := range w.sent {
		byID[m.id] = m
	}
	type stream struct {
		from     *peer
		priority sdk.Priority
		many     bool
		held     bool
	}
	last := map[stream]int{}
	for _, id := range p.first {
		m := byID[id]
		switch {
		case m.from == p:
			w.t.Errorf("%s got its own message %s back", p.name, id)
		case len(m.to) > 0 && !slices.Contains(m.to, p):
			w.t.Errorf("%s got %s, which was not for it", p.name, id)
		}
		s := stream{m.from, m.priority, len(m.to) > 1, m.held}
		if before, ok := last[s]; ok && before > m.n {
			w.t.Errorf("%s got %s after message %d of the same sender and priority", p.name, id, before)
		}
		last[s] = m.n
	}
	if len(p.again) > 0 {
		w.t.Errorf("%s was pushed again what it had confirmed: %v", p.name, p.again)
	}
}

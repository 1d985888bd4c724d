package delivery

import (
	"sync"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/telemetry"
	"github.com/claudemesh/broker/core/tracing"
	"github.com/claudemesh/broker/sdk"
)

// Link is a connection that pushes are written to.
type Link interface {
	// Push writes a frame and returns its number on this connection, counted
	// from 1. False means that the connection takes nothing more. It must not
	// wait.
	Push(frame []byte) (number uint64, ok bool)

	// Full reports whether the connection already has so much to write that a
	// drain had better wait before it adds n bytes.
	Full(n int) bool
}

// Identity says whose mailbox it is. It never changes.
type Identity struct {
	Mesh    string
	Member  sdk.Key
	Session sdk.Key // zero when the session has no key of its own
	Control bool    // a daemon's control connection, which drops its own member's messages
	Acks    bool    // the client is expected to send client_ack
}

// Mailbox is what one session has been pushed and has not confirmed, and
// whether the store holds more for it. It outlives connections: it lives as
// long as its session, grace included.
//
// All methods may be called concurrently.
type Mailbox struct {
	engine *Engine
	id     Identity
	keys   []sdk.Key // what messages for this session are addressed to

	mu      sync.Mutex
	link    Link // nil while the session is away
	max     sdk.Priority
	sent    []push             // unconfirmed, in the order of their numbers
	bytes   int                // of these
	had     map[claim]struct{} // had here, but left to a sibling to confirm
	acked   bool               // a client_ack came on this connection
	demoted bool               // no client_ack ever came: pongs count

	behind   bool            // the store may hold more: nothing is pushed around the drain
	kept     int             // deliveries that were not taken and whose transaction is not over
	draining bool            // a drain runs
	again    bool            // look again before the drain ends
	careful  bool            // wait for what is on its way to disk before the next look
	marks    map[claim]int64 // confirmed, with the numbers of marks that may not be written yet
	progress chan struct{}   // one signal: something was confirmed, or the link changed
}

// push is one delivery that was written and is not confirmed.
type push struct {
	d      *delivery
	number uint64 // on this connection
	at     time.Time
	tries  int
	span   *tracing.Pushed // nil unless the message is traced
}

// claim names a delivery.
type claim struct {
	seq int64
	to  sdk.Key
}

// NewMailbox returns the mailbox of a session that is not connected yet.
func (e *Engine) NewMailbox(id Identity) *Mailbox {
	m := &Mailbox{engine: e, id: id, max: sdk.PriorityLow, progress: make(chan struct{}, 1)}
	m.keys = append(m.keys, id.Member)
	if !id.Session.IsZero() {
		m.keys = append(m.keys, id.Session)
	}
	return m
}

// Connect attaches a new connection and starts to drain what waits. What an
// earlier connection left unconfirmed is pushed again.
func (m *Mailbox) Connect(link Link) {
	m.Disconnect(nil)
	m.mu.Lock()
	m.link, m.acked, m.demoted = link, false, false
	m.careful = true // siblings may have confirmed what is not marked yet
	m.mu.Unlock()
	m.nudge(sdk.PriorityNow)
}

// Disconnect detaches a connection, unless another one has taken its place;
// nil detaches any. Unconfirmed deliveries return to the store, and other
// sessions of the member are told of them.
func (m *Mailbox) Disconnect(link Link) {
	m.mu.Lock()
	if m.link == nil || (link != nil && m.link != link) {
		m.mu.Unlock()
		return
	}
	returned := m.sent
	m.link, m.sent, m.bytes = nil, nil, 0
	m.mu.Unlock()
	m.signal()
	siblings := false
	for i := range returned {
		d := returned[i].d
		if m.id.Acks {
			d.ackers.Add(-1)
		}
		if d.state.Load() != confirmed {
			d.missed.Store(true)
			siblings = siblings || d.to == m.id.Member
		}
	}
	if siblings {
		m.engine.nudge(m.id.Mesh, m.id.Member, sdk.PriorityNow)
	}
}

// Idle tells whether the recipient may be disturbed by messages that are not
// urgent. Becoming idle releases what was held.
func (m *Mailbox) Idle(idle bool) {
	m.mu.Lock()
	was := m.max
	m.max = sdk.PriorityNow
	if idle {
		m.max = sdk.PriorityLow
	}
	released := m.max > was
	m.mu.Unlock()
	if released {
		m.nudge(sdk.PriorityNow)
	}
}

// Acked takes a client_ack. Either id may be empty; a client that has no id of
// the sender's puts the message id in its place. Only this session's own
// deliveries can be confirmed. It reports whether one was.
func (m *Mailbox) Acked(messageID, clientMessageID string) bool {
	m.mu.Lock()
	m.acked = true
	i := m.findLocked(messageID, clientMessageID)
	if i < 0 {
		m.mu.Unlock()
		return false
	}
	p := m.removeLocked(i)
	m.endLocked(p, tracing.ByAck)
	m.mu.Unlock()
	m.signal()
	return true
}

func (m *Mailbox) findLocked(messageID, clientMessageID string) int {
	for i := range m.sent {
		msg := m.sent[i].d.msg
		switch {
		case messageID != "" && msg.ID == messageID,
			clientMessageID != "" && msg.ClientMessageID == clientMessageID,
			clientMessageID != "" && msg.ID == clientMessageID:
			return i
		}
	}
	return -1
}

// removeLocked takes entry i off the unconfirmed list.
func (m *Mailbox) removeLocked(i int) push {
	p := m.sent[i]
	m.bytes -= len(p.d.frame)
	if m.id.Acks {
		p.d.ackers.Add(-1)
	}
	if i == 0 {
		m.sent[0] = push{}
		m.sent = m.sent[1:]
	} else {
		m.sent = append(m.sent[:i], m.sent[i+1:]...)
	}
	return p
}

// Ponged confirms every push up to and including number, unless this client
// confirms by client_ack.
func (m *Mailbox) Ponged(link Link, number uint64) {
	m.mu.Lock()
	if m.link != link || (m.id.Acks && !m.demoted) || m.acked {
		m.mu.Unlock()
		return
	}
	for len(m.sent) > 0 && m.sent[0].number <= number {
		if p := m.removeLocked(0); p.d.ackers.Load() > 0 {
			m.leaveLocked(p.d)
		} else {
			m.endLocked(p, tracing.ByPong)
		}
	}
	m.mu.Unlock()
	m.signal()
}

// endLocked ends a delivery that the client has, unless that is for the member's
// daemon to say, which is connected to another node. by is what it was confirmed
// with.
func (m *Mailbox) endLocked(p push, by string) {
	if p.d.daemon && !m.id.Control {
		m.leaveLocked(p.d)
		return
	}
	p.span.Confirmed(by)
	m.confirmLocked(p.d, p.at)
}

// marksMax is how many confirmed deliveries a mailbox remembers before it looks
// which of them are marked by now.
const marksMax = 256

// confirmLocked ends a delivery that was pushed last at pushed. A drain may find its row until it is marked.
func (m *Mailbox) confirmLocked(d *delivery, pushed time.Time) {
	mark := m.engine.settle(d, pushed)
	if mark == 0 {
		return
	}
	if m.marks == nil {
		m.marks = map[claim]int64{}
	}
	m.marks[claim{d.msg.Seq, d.to}] = mark
	if !m.draining && len(m.marks) >= marksMax {
		m.forgetMarkedLocked()
	}
}

// forgetMarkedLocked forgets what the store does not return any more. A drain
// that has read the store and not pushed yet needs it still.
func (m *Mailbox) forgetMarkedLocked() {
	written := m.engine.committer.Settled()
	for c, mark := range m.marks {
		if mark <= written {
			delete(m.marks, c)
		}
	}
	if len(m.marks) == 0 {
		m.marks = nil
	}
}

// hadMax bounds what a mailbox remembers of deliveries left to siblings.
const hadMax = 1024

// leaveLocked remembers a delivery that this session has, and that a sibling
// will confirm.
func (m *Mailbox) leaveLocked(d *delivery) {
	if m.had == nil || len(m.had) >= hadMax {
		m.had = map[claim]struct{}{}
	}
	m.had[claim{d.msg.Seq, d.to}] = struct{}{}
}

// eligible reports whether a message that is addressed to the key to may be
// pushed to this session.
//
// It goes neither back to the session that sent it, nor to a control connection
// of the sender's own member: that drops it without a word, so that it would be
// repeated for ever. A message to a group or to everybody that is addressed to a
// member key is for the sessions without a key of their own; the others have their own copy.
func (m *Mailbox) eligible(msg *store.Message, to sdk.Key) bool {
	if to == m.id.Member && !m.id.Session.IsZero() && !forMembers(msg) {
		return false
	}
	if msg.SenderMember != m.id.Member {
		return true
	}
	return !m.id.Control && (msg.SenderSession != m.id.Session || fromBroker(msg))
}

// fromBroker reports whether the broker has sent a message for its member, and so
// none of the member's sessions. An earlier release did not mark those that are
// sealed.
func fromBroker(msg *store.Message) bool {
	return msg.Extra != nil && (msg.Extra.Posted || msg.Extra.Unsealed)
}

// forMembers reports whether a message was sent to one key, or to a topic, whose
// members get it with all their sessions, rather than to a group or to everybody,
// where each session has a copy.
func forMembers(msg *store.Message) bool {
	switch {
	case msg.TargetSpec == "":
		return false
	case msg.TargetSpec[0] == '#':
		return true
	default:
		return len(msg.TargetSpec) == 2*sdk.KeySize && msg.TargetSpec[0] != '@'
	}
}

// offer pushes a delivery that was accepted now. It reports false when the
// session is away, busy, or still taking older messages, and when this node may
// not push. Then [Mailbox.written] has to be called when the delivery's
// transaction is over: until then, nothing is pushed past it.
func (m *Mailbox) offer(d *delivery) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.offerLocked(d)
	if !taken {
		m.kept++
	}
	return taken
}

func (m *Mailbox) offerLocked(d *delivery) bool {
	if m.link == nil || m.behind || d.msg.Priority > m.max {
		return false
	}
	if !m.engine.held() {
		m.behind = true
		return false
	}
	if !m.roomLocked(len(d.frame)) {
		m.behind = true
		return false
	}
	return m.pushLocked(d, &m.engine.Counters.PushedAtOnce)
}

// written says that the transaction of a delivery that was not taken is over,
// and that the mailbox was told to look for it if it is in the store.
func (m *Mailbox) written() {
	m.mu.Lock()
	m.kept--
	stuck := m.kept == 0 && m.behind && !m.draining // a drain ended before, and left it so
	m.mu.Unlock()
	if stuck {
		m.nudge(sdk.PriorityNow)
	}
}

func (m *Mailbox) roomLocked(n int) bool {
	return m.bytes == 0 || m.bytes+n <= m.engine.options.UnconfirmedBytes
}

// pushLocked writes a delivery and remembers it as unconfirmed. took gets the
// time since the message was accepted.
func (m *Mailbox) pushLocked(d *delivery, took *telemetry.Histogram) bool {
	number, ok := m.link.Push(d.frame)
	if !ok {
		m.behind = true
		return false
	}
	if m.id.Acks {
		d.ackers.Add(1)
	}
	p := push{d: d, number: number, at: time.Now()}
	m.engine.follow(&p, time.Time{})
	m.sent = append(m.sent, p)
	took.Observe(p.at.Sub(d.msg.CreatedAt))
	m.bytes += len(d.frame)
	m.engine.Counters.Routed[d.msg.Priority].Add(1)
	return true
}

func (m *Mailbox) signal() {
	select {
	case m.progress <- struct{}{}:
	default:
	}
}

// Unconfirmed returns how many pushes wait for their confirmation.
func (m *Mailbox) Unconfirmed() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.sent)
}

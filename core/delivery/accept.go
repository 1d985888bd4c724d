package delivery

import (
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Acceptance is a message that was accepted and is about to be on disk. It is
// one part of a [commit.Work]: the owner calls Fill when the transaction starts
// and Done after it, and acknowledges the message after Done(nil).
type Acceptance struct {
	engine     *Engine
	msg        *store.Message
	deliveries []delivery

	// Pushed is the number of sessions that the message was written to at once.
	Pushed int

	// Waiting is the number of deliveries that nobody was here to take.
	Waiting int

	history *store.TopicMessage // nil unless the message is for a topic

	batch  *store.Batch // between Fill and Done
	before *store.Sent  // what another node has accepted under the same id first
}

// Accept takes a message for the recipients of an audience and pushes it to
// those who can have it now; to nobody when its NotBefore is still to come. from
// is the sender's own mailbox, which never gets its message back; nil when the
// sender has none.
//
// It sets the message's Seq, CreatedAt and ExpiresAt, puts its NotBefore in order
// (see [holdMax]), and keeps the message. The caller must submit the acceptance:
// until its transaction is done, nothing is promised.
func (e *Engine) Accept(m *store.Message, audience []sdk.Recipient, from *Mailbox, now time.Time) *Acceptance {
	m.Seq = e.nextSeq(now)
	m.CreatedAt = now
	m.NotBefore = heldUntil(m.NotBefore, now)
	m.ExpiresAt = now.Add(e.options.ExpireAfter)
	a := &Acceptance{engine: e, msg: m, deliveries: make([]delivery, len(audience))}
	e.recent.accepted(m, audience)
	e.sends.accepted(m)
	for i := range audience {
		d := &a.deliveries[i]
		d.msg, d.memberID, d.to = m, audience[i].MemberID, addressOf(&audience[i])
		d.traced = m.Traced && i < tracedMost
	}
	if a.held() {
		m.ExpiresAt = m.NotBefore.Add(e.options.ExpireAfter)
		a.Waiting = len(audience)
		return a
	}
	a.offer(e.encodeNew(m), from)
	return a
}

// Keep has the message go into the history of a topic too, in the same
// transaction; nil keeps it in none. It sets the row's message, and when it is
// shown.
func (a *Acceptance) Keep(h *store.TopicMessage) {
	if h == nil {
		return
	}
	h.Message, h.ShownAt = a.msg, a.msg.CreatedAt
	if a.held() {
		h.ShownAt = a.msg.NotBefore
	}
	a.history = h
	a.engine.Counters.Histories.Add(1)
}

// held reports whether the message is held back.
func (a *Acceptance) held() bool { return !a.msg.NotBefore.IsZero() }

// offer pushes the message to those who can take it now.
func (a *Acceptance) offer(frame []byte, from *Mailbox) {
	var buf [4]*Mailbox
	for i := range a.deliveries {
		d := &a.deliveries[i]
		d.frame = frame
		pushed := a.engine.offer(d, from, buf[:0])
		a.Pushed += pushed
		if pushed == 0 {
			a.Waiting++
		}
	}
}

// offer pushes a delivery to every mailbox behind its key that can take it
// now, and returns how many did.
func (e *Engine) offer(d *delivery, from *Mailbox, buf []*Mailbox) (pushed int) {
	boxes := e.dir.Mailboxes(d.msg.MeshID, d.to, buf)
	if d.daemon = e.options.Others != nil && e.dir.DaemonElsewhere(d.msg.MeshID, d.to); d.daemon {
		d.missed.Store(true)
	}
	for _, m := range boxes {
		if m == from || !m.eligible(d.msg, d.to) {
			continue
		}
		if m.offer(d) {
			pushed++
		} else {
			d.missed.Store(true)
			d.kept = append(d.kept, m)
		}
	}
	if pushed == 0 {
		d.missed.Store(true)
	}
	return pushed
}

// Fill adds the rows that the message needs: none for deliveries that were
// confirmed meanwhile.
func (a *Acceptance) Fill(b *store.Batch) {
	a.batch = b
	to := &b.Deliveries
	if a.held() {
		to = &b.Held
	}
	rows := len(*to)
	for i := range a.deliveries {
		d := &a.deliveries[i]
		if d.store() {
			*to = append(*to, store.Delivery{Seq: d.msg.Seq, Recipient: d.to, MemberID: d.memberID})
		}
	}
	if len(*to) > rows {
		b.Messages = append(b.Messages, a.msg)
	}
	if a.msg.ClientMessageID != "" {
		b.Sent = append(b.Sent, a.msg)
	}
	if a.history != nil {
		b.History = append(b.History, a.history)
	}
}

// Done ends the acceptance. After a transaction that succeeded, whoever could
// not take the message at once is told to look into the store; of a message that
// is held back, nobody is told before its time.
func (a *Acceptance) Done(err error) {
	if a.batch != nil && err == nil {
		if first, repeats := a.batch.Repeats[a.msg]; repeats {
			a.before = &first
		}
	}
	a.batch = nil
	a.engine.sends.done(a, err)
	there := err == nil && a.before == nil
	if there && a.held() {
		a.engine.releases.expect(a.msg.NotBefore)
	}
	for i := range a.deliveries {
		d := &a.deliveries[i]
		if there && d.missed.Load() {
			a.engine.nudge(d.msg.MeshID, d.to, d.msg.Priority)
		}
		for _, m := range d.kept {
			m.written()
		}
		d.kept = nil
	}
}

// MessageID returns the message's id on the wire. Once it is done, that is the
// id of the message that another node had accepted first under the same
// client_message_id, if there was one.
func (a *Acceptance) MessageID() string {
	if a.before != nil {
		return a.before.MessageID
	}
	return a.msg.ID
}

// Conflicts reports whether another node had accepted a different message
// first under the same client_message_id. It is known when a is done.
func (a *Acceptance) Conflicts() bool {
	return a.before != nil && a.before.Fingerprint != a.msg.Fingerprint
}

// Recipients returns the number of deliveries that the message has.
func (a *Acceptance) Recipients() int { return len(a.deliveries) }

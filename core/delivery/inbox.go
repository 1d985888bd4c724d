package delivery

import (
	"context"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Inbox returns what waits for a member, for who asks for it and has no
// connection: most urgent first, then oldest first, behind a place. What any
// session of the member has confirmed on this node is not among it.
func (e *Engine) Inbox(ctx context.Context, mesh string, member sdk.Key, after store.Cursor, limit int) ([]store.Waiting, error) {
	if err := e.committer.Barrier(ctx); err != nil {
		return nil, err
	}
	return e.queue.Pending(ctx, store.Drain{
		Mesh: mesh, Keys: []sdk.Key{member}, Max: sdk.PriorityLow, After: after, Now: time.Now(), Limit: limit,
	})
}

// Confirm ends deliveries to a member, by the ids of their messages: somebody who
// acts for the member has them. It returns those that are over now, or were
// before, when that is on disk. Sessions on other nodes have to be told of them
// with [Engine.Confirmed].
func (e *Engine) Confirm(ctx context.Context, mesh string, member sdk.Key, ids []string) (over []string, err error) {
	for _, id := range ids {
		known, err := e.confirm(ctx, mesh, member, id)
		if err != nil {
			return nil, err
		}
		if known {
			over = append(over, id)
		}
	}
	return over, e.committer.Barrier(ctx)
}

// confirm reports whether there is, or was, such a delivery.
func (e *Engine) confirm(ctx context.Context, mesh string, member sdk.Key, id string) (known bool, err error) {
	known = e.Confirmed(mesh, member, id)
	found, err := e.queue.MessageStatus(ctx, mesh, id)
	if err != nil {
		return false, err
	}
	for _, status := range append(found, e.Recent(mesh, id)...) {
		for _, d := range status.Deliveries {
			if status.Message.ID != id || d.Recipient != member {
				continue
			}
			if d.DeliveredAt.IsZero() && status.Message.Seq != 0 && !known {
				e.Counters.Confirmed.Add(1)
				now := time.Now()
				e.committer.Settle(store.Settlement{Seq: status.Message.Seq, Recipient: member, At: now})
				e.recent.delivered(id, member, now)
			}
			known = known || status.Message.Seq != 0 || !d.DeliveredAt.IsZero()
		}
	}
	return known, nil
}

// Confirmed lets the sessions of a member on this node know that a delivery to the
// member is over. It reports whether one of them had it unconfirmed.
func (e *Engine) Confirmed(mesh string, member sdk.Key, id string) (had bool) {
	var buf [4]*Mailbox
	for _, m := range e.dir.Mailboxes(mesh, member, buf[:0]) {
		had = m.confirmMember(id) || had
	}
	return had
}

// confirmMember ends a delivery to the mailbox's member. It is not the client of
// this connection that says so, which goes on confirming as it does.
func (m *Mailbox) confirmMember(id string) bool {
	m.mu.Lock()
	i := m.findLocked(id, "")
	if i < 0 || m.sent[i].d.to != m.id.Member {
		m.mu.Unlock()
		return false
	}
	p := m.removeLocked(i)
	m.confirmLocked(p.d, p.at)
	m.mu.Unlock()
	m.signal()
	return true
}

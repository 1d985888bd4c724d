package delivery_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/commit"
	"github.com/claudemesh/broker/core/delivery"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// lease is what a node knows of the others: whether its own lease holds.
type lease struct{ held atomic.Bool }

func (*lease) Wake(string, sdk.Key, sdk.Priority) {}
func (l *lease) Held() bool                       { return l.held.Load() }
func (*lease) Alone(context.Context, string, func(context.Context) error) (bool, error) {
	return false, nil
}

// lateMarks is a queue whose rows are waiting still, because no mark of theirs
// is ever written.
type lateMarks struct {
	delivery.Queue
	rows []store.Waiting
}

func (*lateMarks) LastSeq(context.Context) (int64, error) { return 0, nil }
func (q *lateMarks) Pending(context.Context, store.Drain) ([]store.Waiting, error) {
	return q.rows, nil
}

// neverWritten is a committer that is done at once and writes no mark.
type neverWritten struct{ marks atomic.Int64 }

func (*neverWritten) Submit(w commit.Work)            { w.Fill(new(store.Batch)); w.Done(nil) }
func (c *neverWritten) Settle(store.Settlement) int64 { return c.marks.Add(1) }
func (*neverWritten) Settled() int64                  { return 0 }
func (*neverWritten) Barrier(context.Context) error   { return nil }

// node is an engine with the sessions of one member.
func node(t *testing.T, q delivery.Queue, l *lease, sessions int, acks bool) (*delivery.Engine, []*delivery.Mailbox, []*conn) {
	t.Helper()
	engine, dir := newEngine(t, q, new(neverWritten), l, time.Second)
	t.Cleanup(engine.Close)
	var (
		boxes []*delivery.Mailbox
		conns []*conn
	)
	for range sessions {
		p := newPeer(engine, dir, acks)
		p.box.Connect(p.conn)
		boxes, conns = append(boxes, p.box), append(conns, p.conn)
	}
	engine.Idle()
	return engine, boxes, conns
}

func note() *store.Message {
	return &store.Message{ID: identity.NewID(), MeshID: "mesh", SenderMemberID: "ada", SenderMember: sdk.Key{2}, TargetSpec: recipient.String()}
}

// A node whose lease is over repeats nothing either.
func TestNothingIsRepeatedWithoutALease(t *testing.T) {
	l := new(lease)
	l.held.Store(true)
	engine, _, conns := node(t, new(lateMarks), l, 1, true)
	engine.Accept(note(), []sdk.Recipient{{MemberID: "bo", Member: recipient}}, nil, time.Now())
	for _, held := range []bool{false, true} {
		l.held.Store(held)
		engine.RepeatLate(time.Now().Add(40 * time.Second))
		if got, want := len(conns[0].pushes), map[bool]int{false: 1, true: 2}[held]; got != want {
			t.Errorf("with its lease held (%v) it pushed %d times, want %d", held, got, want)
		}
	}
}

// What a sibling has confirmed is not pushed again to one that had it, while the
// mark is not written.
func TestDrainKnowsWhatSiblingsConfirmed(t *testing.T) {
	q, l := new(lateMarks), new(lease)
	l.held.Store(true)
	engine, boxes, conns := node(t, q, l, 2, false)
	m := note()
	a := engine.Accept(m, []sdk.Recipient{{MemberID: "bo", Member: recipient}}, nil, time.Now())
	a.Fill(new(store.Batch))
	a.Done(nil)
	q.rows = []store.Waiting{{Message: m, Recipient: recipient}}
	for i, box := range boxes {
		box.Ponged(conns[i], 1)
	}
	engine.Nudge("mesh", recipient, sdk.PriorityNow)
	engine.Idle()
	for i, c := range conns {
		if len(c.pushes) != 1 {
			t.Errorf("session %d got it %d times, want once", i, len(c.pushes))
		}
	}
}

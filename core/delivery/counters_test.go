package delivery_test

import (
	"testing"
	"time"

	"github.com/claudemesh/broker/core/delivery"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/telemetry"
	"github.com/claudemesh/broker/sdk"
)

// TestCounters pushes one message to a recipient who is here, and confirms it.
func TestCounters(t *testing.T) {
	engine, dir := newEngine(t, quiet{}, new(written), nil, time.Hour)
	t.Cleanup(engine.Close)
	box := engine.NewMailbox(delivery.Identity{Mesh: "mesh", Member: recipient})
	dir.add(recipient, box, false)
	c := new(counted)
	box.Connect(c)
	engine.Idle()
	engine.Accept(&store.Message{
		ID: "message", MeshID: "mesh", SenderMemberID: "ada", SenderMember: sdk.Key{2}, TargetSpec: recipient.String(), Priority: sdk.PriorityNext,
	}, []sdk.Recipient{{MemberID: "bo", Member: recipient}}, nil, time.Now().Add(-time.Minute))
	took := func(h *telemetry.Histogram) telemetry.Series { return h.Series(time.Hour) }
	if s := took(&engine.Counters.PushedAtOnce); s.Count != 1 || s.Sum < 60 || s.Sum > 600 {
		t.Errorf("pushed at once: %d in %v s, want one that took a minute", s.Count, s.Sum)
	}
	if s := took(&engine.Counters.PushedLater); s.Count != 0 {
		t.Errorf("%d were pushed from the queue, want none", s.Count)
	}
	if s := took(&engine.Counters.Confirmation); s.Count != 0 {
		t.Errorf("%d are confirmed, want none yet", s.Count)
	}
	box.Ponged(c, c.number)
	if s := took(&engine.Counters.Confirmation); s.Count != 1 || s.Sum <= 0 || s.Sum > 60 {
		t.Errorf("confirmed: %d in %v s, want one, from its push on", s.Count, s.Sum)
	}
}

// TestCountersOfTheQueue pushes a message that waited for its recipient.
func TestCountersOfTheQueue(t *testing.T) {
	waited := &store.Message{ID: "message", Seq: 1, MeshID: "mesh", SenderMember: sdk.Key{2}, TargetSpec: recipient.String(), CreatedAt: time.Now().Add(-time.Hour)}
	q := &lateMarks{rows: []store.Waiting{{Message: waited, Recipient: recipient}}}
	engine, dir := newEngine(t, q, new(neverWritten), nil, time.Hour)
	t.Cleanup(engine.Close)
	p := newPeer(engine, dir, false)
	p.box.Connect(p.conn)
	engine.Idle()
	if s := engine.Counters.PushedLater.Series(time.Hour); s.Count != 1 || s.Sum < 3600 || s.Sum > 7200 {
		t.Errorf("pushed from the queue: %d in %v s, want one that waited for an hour", s.Count, s.Sum)
	}
	if s := engine.Counters.PushedAtOnce.Series(time.Hour); s.Count != 0 {
		t.Errorf("%d were pushed at once, want none", s.Count)
	}
}

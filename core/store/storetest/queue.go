package storetest

import (
	"slices"
	"strings"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

var pending = []test{
	{"a message comes back as it was written", messageRoundTrip},
	{"a large body comes back whole", messageLarge},
	{"the most urgent comes first, then the oldest", pendingOrder},
	{"several keys are drained together, each row with its own", pendingKeys},
	{"less urgent messages and those above the limit are left", pendingBounds},
	{"batch after batch passes every row once", pendingCursor},
	{"what expired by now is left out", pendingExpired},
	{"other meshes and other keys are left out", pendingOthers},
	{"a settled delivery waits no more, its neighbours do", settleOne},
	{"the first settlement of a delivery counts", settleTwice},
	{"a delivery is settled in the batch that brings it", settleAtOnce},
	{"a settlement of nothing changes nothing", settleNothing},
	{"a claim that is made twice is one claim", deliverTwice},
}

var sent = []test{
	{"a send is found by its client's id, with and without a message row", sentFound},
	{"the first use of a client's id is kept", sentFirst},
	{"ids of other members and meshes are others", sentScope},
}

// seq is the Seq of a message that is accepted n milliseconds after now.
func seq(n int) int64 { return store.SeqAt(now().Add(time.Duration(n) * time.Millisecond)) }

// message is accepted n milliseconds after now and lasts an hour.
func message(n int) *store.Message {
	return &store.Message{
		Seq: seq(n), ID: id("msg", n), MeshID: "mesh", SenderMemberID: "ada", SenderMember: key(100),
		TargetSpec: "*", Priority: sdk.PriorityNext, Nonce: "n", Ciphertext: "c",
		CreatedAt: now().Add(time.Duration(n) * time.Millisecond), ExpiresAt: now().Add(time.Hour),
	}
}

// queued is a batch of messages, each for all the keys.
func queued(messages []*store.Message, keys ...sdk.Key) store.Batch {
	b := store.Batch{Messages: messages}
	for _, m := range messages {
		for _, k := range keys {
			b.Deliveries = append(b.Deliveries, store.Delivery{Seq: m.Seq, Recipient: k, MemberID: "bo"})
		}
	}
	return b
}

// drain asks for everything that waits for the keys.
func drain(keys ...sdk.Key) store.Drain {
	return store.Drain{Mesh: "mesh", Keys: keys, Max: sdk.PriorityLow, Now: now(), Limit: 100}
}

// wantPending compares what a drain returns with messages for one key.
func (s *suite) wantPending(d store.Drain, want ...*store.Message) {
	s.Helper()
	list := make([]store.Waiting, len(want))
	for i, m := range want {
		list[i] = store.Waiting{Message: m, Recipient: d.Keys[0]}
	}
	got, err := s.Pending(s.ctx, d)
	s.must(err)
	same(s, got, list)
}

func messageRoundTrip(s *suite) {
	full := message(2)
	full.SenderSession, full.SenderName = key(101), "Ада <🦉>"
	full.TargetSpec, full.Priority = "@größe/網", sdk.PriorityLow
	full.Nonce, full.Ciphertext = "bm9uY2U=", "Y2lwaGVy+/="
	full.ClientMessageID, full.Fingerprint = "0198-Ü", strings.Repeat("ab", 32)
	full.Extra = &store.Extra{Subtype: "s", Event: "e", Topic: "t", BodyVersion: 2, Unsealed: true}
	full.ReplyTo, full.Trace = id("reply", 1), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	full.Traced = true
	bare := &store.Message{Seq: seq(1), ID: "bare", MeshID: "mesh", CreatedAt: now(), ExpiresAt: now().Add(time.Second)}
	s.commit(queued([]*store.Message{full, bare}, key(1)))
	s.wantPending(drain(key(1)), bare, full)

	fine := message(3)
	fine.Trace = full.Trace // its sender traces it, and nobody else
	fine.CreatedAt = now().Add(999_999)
	s.commit(queued([]*store.Message{fine}, key(2)))
	got, err := s.Pending(s.ctx, drain(key(2)))
	s.must(err)
	if len(got) != 1 || !got[0].Message.CreatedAt.Equal(now()) || got[0].Message.CreatedAt.Location() != time.UTC {
		s.Errorf("got %v, want whole milliseconds in UTC", got)
	}
	if m := got[0].Message; m.Trace != fine.Trace || m.Traced {
		s.Errorf("the trace is %q, traced %v", m.Trace, m.Traced)
	}
}

func messageLarge(s *suite) {
	m := message(1)
	m.Ciphertext = strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	s.commit(queued([]*store.Message{m}, key(1)))
	s.wantPending(drain(key(1)), m)
}

func pendingOrder(s *suite) {
	low, next1, now1, next2, now2 := message(1), message(2), message(3), message(4), message(5)
	low.Priority, now1.Priority, now2.Priority = sdk.PriorityLow, sdk.PriorityNow, sdk.PriorityNow
	s.commit(queued([]*store.Message{next2, low, now2}, key(1)))
	s.commit(queued([]*store.Message{now1, next1}, key(1)))
	s.wantPending(drain(key(1)), now1, now2, next1, next2, low)
}

func pendingKeys(s *suite) {
	a, b, c := message(1), message(2), message(3)
	c.Priority = sdk.PriorityNow
	s.commit(queued([]*store.Message{b}, key(2)))
	s.commit(queued([]*store.Message{a, c}, key(1)))
	both := message(4)
	s.commit(queued([]*store.Message{both}, key(2), key(1), key(3)))

	want := []store.Waiting{{Message: c, Recipient: key(1)}, {Message: a, Recipient: key(1)},
		{Message: b, Recipient: key(2)}, {Message: both, Recipient: key(1)}, {Message: both, Recipient: key(2)}}
	for _, keys := range [][]sdk.Key{{key(1), key(2)}, {key(2), key(1)}, {key(9), key(2), key(1), key(2)}} {
		got, err := s.Pending(s.ctx, drain(keys...))
		s.must(err)
		same(s, got, want)
	}
	none, err := s.Pending(s.ctx, drain())
	s.must(err)
	same(s, none, nil)
}

func pendingBounds(s *suite) {
	a, b, c := message(1), message(2), message(3)
	a.Priority, b.Priority, c.Priority = sdk.PriorityLow, sdk.PriorityNext, sdk.PriorityNow
	s.commit(queued([]*store.Message{a, b, c}, key(1)))
	d := drain(key(1))
	for _, step := range []struct {
		max   sdk.Priority
		limit int
		want  []*store.Message
	}{
		{sdk.PriorityLow, 100, []*store.Message{c, b, a}},
		{sdk.PriorityNext, 100, []*store.Message{c, b}},
		{sdk.PriorityNow, 100, []*store.Message{c}},
		{sdk.PriorityLow, 2, []*store.Message{c, b}},
		{sdk.PriorityLow, 0, nil},
	} {
		d.Max, d.Limit = step.max, step.limit
		s.wantPending(d, step.want...)
	}
}

// pendingCursor has messages of three priorities for one, two or three keys of
// one drain, so that batches end at every place there is.
func pendingCursor(s *suite) {
	keys := []sdk.Key{key(2), key(1), key(3)}

	for n := range 20 {
		m := message(n)
		m.Priority = sdk.Priority(n % 3)
		s.commit(queued([]*store.Message{m}, keys[:1+n%3]...))
	}
	all, err := s.Pending(s.ctx, drain(keys...))
	s.must(err)
	if len(all) != 7*1+7*2+6*3 {
		s.Fatalf("got %d rows", len(all))
	}
	for limit := 1; limit <= 8; limit++ {
		d := drain(keys...)
		d.Limit = limit
		var got []store.Waiting
		for {
			batch, err := s.Pending(s.ctx, d)
			s.must(err)
			if len(batch) == 0 {
				break
			}
			got = append(got, batch...)
			last := batch[len(batch)-1]
			d.After = store.Cursor{Priority: last.Message.Priority, Seq: last.Message.Seq, Recipient: last.Recipient}
		}
		same(s, got, all)
	}
	d := drain(key(2))
	d.Max, d.After = sdk.PriorityNow, store.Cursor{Priority: sdk.PriorityNext}
	s.wantPending(d) // a cursor behind everything that is wanted
}

func pendingExpired(s *suite) {
	m := message(1)
	s.commit(queued([]*store.Message{m}, key(1)))
	for _, step := range []struct {
		at   time.Time
		want []*store.Message
	}{
		{m.ExpiresAt.Add(-time.Millisecond), []*store.Message{m}},
		{m.ExpiresAt, nil},
		{m.ExpiresAt.Add(time.Hour), nil},
	} {
		d := drain(key(1))
		d.Now = step.at
		s.wantPending(d, step.want...)
	}
}

func pendingOthers(s *suite) {
	other := message(1)
	other.MeshID = "other"
	s.commit(queued([]*store.Message{other}, key(1)))
	s.commit(queued([]*store.Message{message(2)}, key(2)))
	s.wantPending(drain(key(1)))
}

// settled is a settlement of message n for a key, t after now.
func settled(n int, k sdk.Key, t time.Duration) store.Settlement {
	return store.Settlement{Seq: seq(n), Recipient: k, At: now().Add(t)}
}

func settleOne(s *suite) {
	a, b := message(1), message(2)
	s.commit(queued([]*store.Message{a, b}, key(1), key(2)))
	s.commit(store.Batch{Settled: []store.Settlement{settled(1, key(1), 0)}})
	s.wantPending(drain(key(1)), b)
	s.wantPending(drain(key(2)), a, b)
}

func settleTwice(s *suite) {
	s.commit(queued([]*store.Message{message(1)}, key(1)))
	s.commit(store.Batch{Settled: []store.Settlement{
		settled(1, key(1), time.Second), settled(1, key(1), time.Minute),
	}})
	s.commit(store.Batch{Settled: []store.Settlement{settled(1, key(1), time.Hour)}})
	s.wantPending(drain(key(1)))
	s.wantStatus(message(1), store.DeliveryStatus{
		Recipient: key(1), MemberID: "bo", DeliveredAt: now().Add(time.Second)})
}

func settleAtOnce(s *suite) {
	b := queued([]*store.Message{message(1), message(2)}, key(1))
	b.Settled = []store.Settlement{settled(1, key(1), 0)}
	s.commit(b)
	s.wantPending(drain(key(1)), message(2))
}

func settleNothing(s *suite) {
	s.commit(queued([]*store.Message{message(1)}, key(1)))
	s.commit(store.Batch{Settled: []store.Settlement{
		settled(1, key(2), 0), settled(2, key(1), 0),
	}})
	s.wantPending(drain(key(1)), message(1))
}

func deliverTwice(s *suite) {
	s.commit(queued([]*store.Message{message(1)}, key(1), key(1)))
	s.wantPending(drain(key(1)), message(1))
}

func (s *suite) wantSent(mesh, member, clientID string, want store.Sent) {
	s.Helper()
	got, err := s.FindSent(s.ctx, mesh, member, clientID)
	s.must(err)
	same(s, got, &want)
}

// sending is message n as a send with a client's id.
func sending(n int, clientID, fingerprint string) *store.Message {
	m := message(n)
	m.ClientMessageID, m.Fingerprint = clientID, fingerprint
	return m
}

func sentFound(s *suite) {
	row, rowless := sending(1, "Ü-1", "f1"), sending(2, "c2", "")
	b := queued([]*store.Message{row}, key(1))
	b.Sent = []*store.Message{row, rowless}
	s.commit(b)
	s.wantSent("mesh", "ada", "Ü-1", store.Sent{MessageID: row.ID, Fingerprint: "f1"})
	s.wantSent("mesh", "ada", "c2", store.Sent{MessageID: rowless.ID})
	_, err := s.FindSent(s.ctx, "mesh", "ada", "c3")
	s.wantErr(err, store.ErrNotFound)
}

func sentFirst(s *suite) {
	s.commit(store.Batch{Sent: []*store.Message{sending(1, "c", "f1"), sending(2, "c", "f2")}})
	s.commit(store.Batch{Sent: []*store.Message{sending(3, "c", "f3")}})
	s.wantSent("mesh", "ada", "c", store.Sent{MessageID: message(1).ID, Fingerprint: "f1"})
}

func sentScope(s *suite) {
	ada, bo, elsewhere := sending(1, "c", "ada"), sending(2, "c", "bo"), sending(3, "c", "elsewhere")
	bo.SenderMemberID, elsewhere.MeshID = "bo", "other"
	s.commit(store.Batch{Sent: []*store.Message{ada, bo, elsewhere}})
	for _, m := range []*store.Message{ada, bo, elsewhere} {
		s.wantSent(m.MeshID, m.SenderMemberID, "c", store.Sent{MessageID: m.ID, Fingerprint: m.Fingerprint})
	}
	_, err := s.FindSent(s.ctx, "other", "bo", "c")
	s.wantErr(err, store.ErrNotFound)
}

// wantStatus checks the status of one message by its whole id.
func (s *suite) wantStatus(m *store.Message, want ...store.DeliveryStatus) {
	s.Helper()
	got, err := s.MessageStatus(s.ctx, m.MeshID, m.ID)
	s.must(err)
	head := *m
	head.Nonce, head.Ciphertext = "", ""
	slices.SortFunc(want, func(a, b store.DeliveryStatus) int { return slices.Compare(a.Recipient[:], b.Recipient[:]) })
	same(s, got, []*store.Status{{Message: &head, Deliveries: want}})
}

package storetest

import (
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

var holds = []test{
	{"what is held back waits for nobody until it is released", heldBack},
	{"what is due first is released first, a bounded number at a time", releaseOrder},
	{"released messages come in the order in which they were accepted", releasedOrder},
	{"each recipient's delivery is held by itself", releaseParts},
	{"what is held does not expire, what was released does", releaseExpiry},
	{"a message of which something is held is not deleted", heldKept},
	{"what is held counts as waiting, in a status and in the depth", heldCounts},
	{"a held delivery needs its message in the batch", heldStray},
	{"a held claim that is made twice is one claim", holdTwice},
	{"what is held is there after the store is opened again", heldReopen},
}

// due is when message n is released, if it is held: n seconds after now.
func due(n int) time.Time { return now().Add(time.Duration(n) * time.Second) }

// until is message n, held back until a time.
func until(n int, at time.Time) *store.Message {
	m := message(n)
	m.NotBefore, m.ExpiresAt = at, at.Add(time.Hour)
	return m
}

// holding is a batch of messages that are held back, each for all the keys.
func holding(messages []*store.Message, keys ...sdk.Key) store.Batch {
	b := queued(messages, keys...)
	b.Deliveries, b.Held = nil, b.Deliveries
	return b
}

// read are messages as they come back.
func read(messages ...*store.Message) []*store.Message {
	list := make([]*store.Message, len(messages))
	for i, m := range messages {
		c := *m
		c.NotBefore = time.Time{}
		list[i] = &c
	}
	return list
}

func (s *suite) wantNext(want time.Time) {
	s.Helper()
	if got, err := s.NextRelease(s.ctx); err != nil || !got.Equal(want) {
		s.Errorf("got next release %v, error %v; want %v", got, err, want)
	}
}

// wantReleased releases and compares, in any order, what was.
func (s *suite) wantReleased(at time.Time, limit int, want ...store.Released) {
	s.Helper()
	list, err := s.Release(s.ctx, at, limit)
	s.must(err)
	counts := map[store.Released]int{}
	for _, r := range list {
		counts[r]++
	}
	wanted := map[store.Released]int{}
	for _, r := range want {
		wanted[r]++
	}
	same(s, counts, wanted)
}

// next is a released delivery of a message as [message] makes them.
func next(n byte) store.Released {
	return store.Released{Mesh: "mesh", Recipient: key(n), Priority: sdk.PriorityNext}
}

func heldBack(s *suite) {
	s.wantNext(time.Time{})
	s.wantReleased(due(100), 100)
	held, other := until(1, due(10)), message(2)
	s.commit(holding([]*store.Message{held}, key(1)))
	s.commit(queued([]*store.Message{other}, key(1)))
	late := drain(key(1))
	late.Now = due(20) // being due is not enough
	s.wantPending(late, other)
	s.wantNext(due(10))
	s.wantReleased(due(10).Add(-time.Millisecond), 100)
	s.wantReleased(due(10), 0)
	s.wantPending(late, other)
	s.wantReleased(due(10), 100, next(1))
	s.wantPending(late, append(read(held), other)...)
	s.wantNext(time.Time{})
	s.wantReleased(due(10), 100)
	s.commit(store.Batch{Settled: []store.Settlement{settled(1, key(1), time.Minute)}})
	s.wantPending(late, other)
}

func releaseOrder(s *suite) {
	for n, at := range map[int]time.Time{1: due(30), 2: due(10), 3: due(20), 4: due(10)} {
		s.commit(holding([]*store.Message{until(n, at)}, key(byte(n))))
	}
	s.wantNext(due(10))
	s.wantReleased(due(60), 1, next(2))
	s.wantReleased(due(60), 1, next(4))
	s.wantNext(due(20))
	s.wantReleased(due(20), 2, next(3))
	s.wantNext(due(30))
	s.wantReleased(due(60), 2, next(1))
}

func releasedOrder(s *suite) {
	urgent, a, b, open := until(3, due(10)), until(1, due(10)), until(2, due(10)), message(4)
	urgent.Priority = sdk.PriorityNow
	s.commit(holding([]*store.Message{b, urgent, a}, key(1)))
	s.commit(queued([]*store.Message{open}, key(1)))
	s.wantReleased(due(10), 1, next(1))
	s.wantPending(drain(key(1)), append(read(a), open)...)
	s.wantReleased(due(10), 100, next(1), store.Released{Mesh: "mesh", Recipient: key(1), Priority: sdk.PriorityNow})
	s.wantPending(drain(key(1)), append(read(urgent, a, b), open)...)
}

func releaseParts(s *suite) {
	m := until(1, due(10))
	s.commit(holding([]*store.Message{m}, key(1), key(2), key(3)))
	s.wantReleased(due(10), 2, next(1), next(2))
	s.wantPending(drain(key(2)), read(m)...)
	s.wantPending(drain(key(3)))
	s.wantReleased(due(10), 2, next(3))
	s.wantPending(drain(key(3)), read(m)...)
}

func releaseExpiry(s *suite) {
	m := until(1, due(10))
	s.commit(holding([]*store.Message{m}, key(1)))
	end := m.ExpiresAt
	s.wantExpired(end, 100, 0)
	s.wantReleased(end, 100, next(1))
	s.wantExpired(end.Add(-time.Millisecond), 100, 0)
	s.wantExpired(end, 100, 1)
	s.wantPending(drain(key(1)))
}

func heldKept(s *suite) {
	m := until(1, due(10))
	s.commit(holding([]*store.Message{m}, key(1), key(2)))
	late := now().Add(24 * time.Hour)
	s.wantDeleted(late, 100, 0)
	s.wantReleased(due(10), 1, next(1))
	s.commit(store.Batch{Settled: []store.Settlement{settled(1, key(1), time.Minute)}})
	s.wantDeleted(late, 100, 0)
	s.wantReleased(due(10), 1, next(2))
	s.wantDeleted(late, 100, 0)
	s.commit(store.Batch{Settled: []store.Settlement{settled(1, key(2), time.Minute)}})
	s.wantDeleted(late, 100, 1)
}

func heldCounts(s *suite) {
	held, open := until(1, due(10)), message(2)
	s.commit(holding([]*store.Message{held}, key(2), key(1)))
	s.wantDepth(2, held.CreatedAt)
	s.commit(queued([]*store.Message{open}, key(1)))
	s.wantDepth(3, held.CreatedAt)
	waits := []store.DeliveryStatus{{Recipient: key(1), MemberID: "bo"}, {Recipient: key(2), MemberID: "bo"}}
	s.wantStatus(read(held)[0], waits...)
	s.wantReleased(due(10), 1, next(1))
	s.wantStatus(read(held)[0], waits...)
	s.wantDepth(3, held.CreatedAt)
	s.wantReleased(due(10), 1, next(2))
	s.commit(store.Batch{Settled: []store.Settlement{settled(1, key(1), 0), settled(1, key(2), 0)}})
	s.wantDepth(1, open.CreatedAt)
	s.wantStatus(read(held)[0],
		store.DeliveryStatus{Recipient: key(1), MemberID: "bo", DeliveredAt: now()},
		store.DeliveryStatus{Recipient: key(2), MemberID: "bo", DeliveredAt: now()})
}

func heldStray(s *suite) {
	b := holding([]*store.Message{until(1, due(10))}, key(1))
	b.Messages = nil
	if err := s.Commit(s.ctx, &b); err == nil {
		s.Error("got no error")
	}
	s.wantNext(time.Time{})
}

func holdTwice(s *suite) {
	s.commit(holding([]*store.Message{until(1, due(10))}, key(1), key(1)))
	s.wantReleased(due(10), 100, next(1))
}

func heldReopen(s *suite) {
	m := until(1, due(10))
	s.commit(holding([]*store.Message{m}, key(1)))
	s.reopen()
	s.wantNext(due(10))
	s.wantReleased(due(10), 100, next(1))
	s.reopen()
	s.wantPending(drain(key(1)), read(m)...)
}

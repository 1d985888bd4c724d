package storetest

import (
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

var status = []test{
	{"a status tells each recipient's part", statusParts},
	{"a message without deliveries has a status", statusBare},
	{"a message is found by its id or the beginning of it, in its mesh, in its case", statusPrefix},
	{"two messages at most answer an ambiguous beginning", statusAmbiguous},
}

var retention = []test{
	{"expired deliveries are ended, a bounded number at a time", expire},
	{"a confirmation after the end still counts", settleExpired},
	{"the depth counts what waits and tells since when", depth},
	{"old messages are deleted once nothing of them waits", prune},
	{"deletion is bounded, and tells when nothing is left", pruneBounded},
	{"a deleted message takes its deliveries along", pruneDeliveries},
	{"memories of sends are deleted as old", pruneSent},
	{"the last seq is remembered beyond deletion", lastSeq},
}

func statusParts(s *suite) {
	m := message(1)
	m.ClientMessageID, m.ReplyTo, m.Trace = "c", "r", "t"
	s.commit(queued([]*store.Message{m, message(2)}, key(3), key(1), key(2)))
	s.commit(store.Batch{Settled: []store.Settlement{settled(1, key(2), time.Minute)}})
	s.wantExpired(m.ExpiresAt, 1000, 5)
	s.wantStatus(m,
		store.DeliveryStatus{Recipient: key(1), MemberID: "bo", Expired: true},
		store.DeliveryStatus{Recipient: key(2), MemberID: "bo", DeliveredAt: now().Add(time.Minute)},
		store.DeliveryStatus{Recipient: key(3), MemberID: "bo", Expired: true})
}

func statusBare(s *suite) {
	s.commit(store.Batch{Messages: []*store.Message{message(1)}})
	s.wantStatus(message(1))
}

// named is message n with an id that begins as given.
func named(n int, prefix string) *store.Message {
	m := message(n)
	m.ID = id(prefix, n)
	return m
}

func (s *suite) wantFound(mesh, prefix string, want ...*store.Message) {
	s.Helper()
	got, err := s.MessageStatus(s.ctx, mesh, prefix)
	s.must(err)
	var ids, wanted []string
	for _, st := range got {
		ids = append(ids, st.Message.ID)
	}
	for _, m := range want {
		wanted = append(wanted, m.ID)
	}
	same(s, ids, wanted)
}

func statusPrefix(s *suite) {
	lower, upper, last, other := named(1, "abcdefgh"), named(2, "ABCDEFGH"), named(3, "zzzzzzzz"), named(4, "abcdefgh")
	other.MeshID = "other"
	s.commit(store.Batch{Messages: []*store.Message{lower, upper, last, other}})
	s.wantFound("mesh", "abcdefgh", lower)
	s.wantFound("mesh", "ABCDEFGH", upper)
	s.wantFound("mesh", "zzzz", last)
	s.wantFound("mesh", last.ID, last)
	s.wantFound("other", "abcdefgh", other)
	s.wantFound("mesh", "abcdefgz")
	s.wantFound("mesh", "%")
	s.wantFound("mesh", "abcdefg_")
	s.wantFound("nowhere", "abcdefgh")
}

func statusAmbiguous(s *suite) {
	a, b, c := named(1, "abcdefgh1"), named(2, "abcdefgh2"), named(3, "abcdefgh3")
	s.commit(queued([]*store.Message{c, a, b}, key(1)))
	s.wantFound("mesh", "abcdefgh", a, b)
	s.wantFound("mesh", "abcdefgh2", b)
}

// wantExpired ends what expired and checks how many deliveries that were.
func (s *suite) wantExpired(at time.Time, limit int, want int64) {
	s.Helper()
	if n, err := s.Expire(s.ctx, at, limit); err != nil || n != want {
		s.Errorf("ended %d deliveries, error %v; want %d", n, err, want)
	}
}

func expire(s *suite) {
	lasting := message(9)
	lasting.ExpiresAt = now().Add(2 * time.Hour)
	s.commit(queued([]*store.Message{message(1), message(2), lasting}, key(1), key(2)))
	s.commit(store.Batch{Settled: []store.Settlement{settled(1, key(1), 0)}})
	end := message(1).ExpiresAt
	s.wantExpired(end.Add(-time.Millisecond), 1000, 0)
	s.wantExpired(end, 2, 2)
	s.wantExpired(end, 2, 1)
	s.wantExpired(end, 2, 0)
	d := drain(key(1), key(2))
	d.Now = end.Add(-time.Minute) // even then: what was ended does not come back
	got, err := s.Pending(s.ctx, d)
	s.must(err)
	same(s, got, []store.Waiting{{Message: lasting, Recipient: key(1)}, {Message: lasting, Recipient: key(2)}})
}

func settleExpired(s *suite) {
	s.commit(queued([]*store.Message{message(1)}, key(1)))
	s.wantExpired(now().Add(time.Hour), 1000, 1)
	s.commit(store.Batch{Settled: []store.Settlement{settled(1, key(1), 2*time.Hour)}})
	s.wantStatus(message(1), store.DeliveryStatus{
		Recipient: key(1), MemberID: "bo", DeliveredAt: now().Add(2 * time.Hour)})
}

func (s *suite) wantDepth(want int64, oldest time.Time) {
	s.Helper()
	n, at, err := s.QueueDepth(s.ctx)
	s.must(err)
	if n != want || !at.Equal(oldest) {
		s.Errorf("got %d since %v, want %d since %v", n, at, want, oldest)
	}
}

func depth(s *suite) {
	s.wantDepth(0, time.Time{})
	s.commit(queued([]*store.Message{message(1), message(2), message(3)}, key(1), key(2)))
	s.wantDepth(6, message(1).CreatedAt)
	s.commit(store.Batch{Settled: []store.Settlement{settled(1, key(1), 0), settled(1, key(2), 0), settled(3, key(1), 0)}})
	s.wantDepth(3, message(2).CreatedAt)
	s.wantExpired(now().Add(time.Hour), 1000, 3)
	s.wantDepth(0, time.Time{})
}

// wantDeleted prunes and checks how many rows that were.
func (s *suite) wantDeleted(t time.Time, limit int, want int64) {
	s.Helper()
	if n, err := s.PruneQueue(s.ctx, t, limit); err != nil || n != want {
		s.Errorf("deleted %d rows, error %v; want %d", n, err, want)
	}
}

func (s *suite) wantGone(messages ...*store.Message) {
	s.Helper()
	for _, m := range messages {
		s.wantFound(m.MeshID, m.ID)
	}
}

func prune(s *suite) {
	partly, done, ended, bare, young := message(1), message(2), message(3), message(4), message(5)
	ended.ExpiresAt = now().Add(time.Minute)
	s.commit(queued([]*store.Message{partly}, key(1), key(2)))
	s.commit(queued([]*store.Message{done, ended, young}, key(1)))
	s.commit(store.Batch{Messages: []*store.Message{bare}})
	s.commit(store.Batch{Settled: []store.Settlement{
		settled(1, key(1), 0), settled(2, key(1), 0), settled(5, key(1), 0),
	}})
	s.wantExpired(ended.ExpiresAt, 1000, 1)

	s.wantDeleted(done.CreatedAt, 1000, 0)
	s.wantDeleted(young.CreatedAt, 1000, 3)
	s.wantGone(done, ended, bare)
	s.wantFound("mesh", partly.ID, partly)
	s.wantFound("mesh", young.ID, young)
	s.wantPending(drain(key(2)), partly)
}

func pruneBounded(s *suite) {
	var b store.Batch
	for n := range 7 {
		b.Messages = append(b.Messages, message(n))
	}
	b.Sent = []*store.Message{sending(1, "a", ""), sending(2, "b", "")}
	s.commit(b)
	end := now().Add(time.Hour)
	s.wantDeleted(end, 3, 3+2)
	s.wantGone(message(0), message(1), message(2))
	s.wantFound("mesh", message(3).ID, message(3)) // oldest first
	s.wantDeleted(end, 3, 3)
	s.wantDeleted(end, 3, 1)
	s.wantDeleted(end, 3, 0)
}

func pruneDeliveries(s *suite) {
	s.commit(queued([]*store.Message{message(1)}, key(1), key(2)))
	s.commit(store.Batch{Settled: []store.Settlement{settled(1, key(1), 0), settled(1, key(2), 0)}})
	s.wantDeleted(now().Add(time.Hour), 1000, 1)
	s.commit(queued([]*store.Message{message(1)}, key(3))) // the same seq: its old deliveries would show
	s.wantStatus(message(1), store.DeliveryStatus{Recipient: key(3), MemberID: "bo"})
}

func pruneSent(s *suite) {
	s.commit(store.Batch{Sent: []*store.Message{sending(1, "a", ""), sending(2, "b", ""), sending(3, "c", "")}})
	s.wantDeleted(message(3).CreatedAt, 1, 1)
	s.wantDeleted(message(3).CreatedAt, 1000, 1)
	for _, gone := range []string{"a", "b"} {
		_, err := s.FindSent(s.ctx, "mesh", "ada", gone)
		s.wantErr(err, store.ErrNotFound)
	}
	s.wantSent("mesh", "ada", "c", store.Sent{MessageID: message(3).ID})
}

func (s *suite) wantLastSeq(want int64) {
	s.Helper()
	if got, err := s.LastSeq(s.ctx); err != nil || got != want {
		s.Errorf("got last seq %d, error %v; want %d", got, err, want)
	}
}

func lastSeq(s *suite) {
	s.wantLastSeq(0)
	s.commit(queued([]*store.Message{message(5), message(2)}, key(1)))
	s.wantLastSeq(seq(5))
	s.commit(store.Batch{Sent: []*store.Message{sending(7, "a", "")}})
	s.wantLastSeq(seq(7))
	s.commit(store.Batch{Settled: []store.Settlement{settled(5, key(1), 0), settled(2, key(1), 0)}})
	s.wantDeleted(now().Add(time.Hour), 1000, 3)
	s.wantLastSeq(seq(7))
	s.commit(store.Batch{Messages: []*store.Message{message(6)}})
	s.wantLastSeq(seq(7))
	s.commit(store.Batch{Messages: []*store.Message{{Seq: seq(8), Priority: sdk.PriorityLow, CreatedAt: now(), ExpiresAt: now()}}})
	s.wantLastSeq(seq(8))
}

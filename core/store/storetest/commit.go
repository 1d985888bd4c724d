package storetest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

var commits = []test{
	{"a batch of any size is written whole", commitSizes},
	{"an empty batch is nothing", commitEmpty},
	{"a batch that fails leaves nothing of any kind", commitAtomic},
	{"a delivery needs its message in the batch", commitStray},
	{"nothing is written for a context that ended before", commitCanceled},
	{"a batch is used again after a reset", commitReset},
	{"readers see whole batches while others are written", commitConcurrent},
	{"members and invites change while batches are written", commitBeside},
}

var reopens = []test{
	{"everything is there after the store is opened again", reopenAll},
}

// everything is a batch with some of each, for message n.
func everything(n int) store.Batch {
	m := sending(n, fmt.Sprint("client ", n), "f")
	b := queued([]*store.Message{m}, key(1), key(2))
	b.Sent = []*store.Message{m}
	b.Settled = []store.Settlement{{Seq: m.Seq, Recipient: key(2), At: now()}}
	b.Audit = entries("mesh", n, 2)
	b.Presences = []*store.Presence{presence(n)}
	st := fullState()
	st.SessionKey = key(byte(n))
	b.States = []*store.State{st}
	b.SessionKeys = []*store.SessionKey{claim("mesh", key(byte(n)), "ada")}
	return b
}

// wantEverything checks that the batches everything(1) to everything(n), and
// nothing else, are there.
func (s *suite) wantEverything(n int) {
	s.Helper()
	var waiting []*store.Message
	for i := 1; i <= n; i++ {
		b := everything(i)
		m := b.Messages[0]
		waiting = append(waiting, m)
		s.wantSent("mesh", "ada", m.ClientMessageID, store.Sent{MessageID: m.ID, Fingerprint: "f"})
		s.wantStatus(m, store.DeliveryStatus{Recipient: key(1), MemberID: "bo"},
			store.DeliveryStatus{Recipient: key(2), MemberID: "bo", DeliveredAt: now()})
		s.wantState(byte(i), b.States[0])
		s.wantOwner("mesh", key(byte(i)), "ada")
	}
	s.wantPending(drain(key(1)), waiting...)
	s.wantPending(drain(key(2)))
	s.wantDepth(int64(n), waiting[0].CreatedAt)
	s.wantVerdict("mesh", audit.Result{Valid: true, Entries: int64(2 * n)})
	s.wantMissing(n + 1)
}

// wantMissing checks that nothing of everything(n) is there.
func (s *suite) wantMissing(n int) {
	s.Helper()
	m := everything(n).Messages[0]
	s.wantGone(m)
	_, err := s.FindSent(s.ctx, "mesh", "ada", m.ClientMessageID)
	s.wantErr(err, store.ErrNotFound)
	_, err = s.State(s.ctx, "mesh", "member", key(byte(n)))
	s.wantErr(err, store.ErrNotFound)
	_, err = s.SessionKeyOwner(s.ctx, "mesh", key(byte(n)))
	s.wantErr(err, store.ErrNotFound)
}

func commitSizes(s *suite) {
	n := 0
	for _, size := range []int{1, 7, 8, 9, 17, 63, 64, 65, 200} {
		var b store.Batch
		for range size {
			m := sending(n, fmt.Sprint("client ", n), "")
			m.Priority = sdk.PriorityNow
			b.Messages = append(b.Messages, m)
			b.Deliveries = append(b.Deliveries, store.Delivery{Seq: m.Seq, Recipient: key(1), MemberID: "bo"})
			b.Sent = append(b.Sent, m)
			b.Audit = append(b.Audit, entry("mesh", n))
			b.Presences = append(b.Presences, presence(n))
			n++
		}
		s.commit(b)
		d := drain(key(1))
		d.Limit = 1000
		got, err := s.Pending(s.ctx, d)
		s.must(err)
		if len(got) != n {
			s.Fatalf("got %d messages, want %d", len(got), n)
		}
	}
	s.wantVerdict("mesh", audit.Result{Valid: true, Entries: int64(n)})
	s.wantSent("mesh", "ada", fmt.Sprint("client ", n-1), store.Sent{MessageID: message(n - 1).ID})
	s.wantClosed(int64(n))
}

func commitEmpty(s *suite) {
	s.commit(store.Batch{})
	s.wantDepth(0, time.Time{})
}

func commitAtomic(s *suite) {
	s.commit(everything(1))
	b := everything(2)
	twice := message(1)
	twice.ID = "another"
	b.Messages = append(b.Messages, twice) // its seq is taken
	if err := s.Commit(s.ctx, &b); err == nil {
		s.Fatal("got no error")
	}
	s.wantEverything(1)
	s.wantClosed(1)
	s.commit(everything(2)) // and the next one is fine
	s.wantEverything(2)
}

func commitStray(s *suite) {
	s.commit(everything(1))
	b := everything(2)
	b.Deliveries = append(b.Deliveries, store.Delivery{Seq: message(1).Seq, Recipient: key(9)})
	if err := s.Commit(s.ctx, &b); err == nil {
		s.Fatal("got no error")
	}
	s.wantEverything(1)
}

func commitCanceled(s *suite) {
	s.commit(everything(1))
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	b := everything(2)
	s.wantErr(s.Commit(ctx, &b), context.Canceled)
	s.wantEverything(1)
}

func commitReset(s *suite) {
	var b store.Batch
	for n := 1; n <= 3; n++ {
		e := everything(n)
		b.Messages = append(b.Messages, e.Messages...)
		b.Deliveries = append(b.Deliveries, e.Deliveries...)
		b.Sent = append(b.Sent, e.Sent...)
		b.Settled = append(b.Settled, e.Settled...)
		b.Audit = append(b.Audit, e.Audit...)
		b.Presences = append(b.Presences, e.Presences...)
		b.States = append(b.States, e.States...)
		b.SessionKeys = append(b.SessionKeys, e.SessionKeys...)
		s.must(s.Commit(s.ctx, &b))
		b.Reset()
		if !b.Empty() {
			s.Fatal("the batch is not empty after its reset")
		}
	}
	s.wantEverything(3)
}

// commitConcurrent reads from six goroutines while batches of five are written.
func commitConcurrent(s *suite) {
	const batches, size = 20, 5
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { s.watch(done, "pending", size, func() (int64, error) { return s.depthNow() }) })
		wg.Go(func() {
			s.watch(done, "page", size, func() (int64, error) {
				_, total, err := s.AuditPage(s.ctx, "mesh", store.AuditMatch{}, 3, 0)
				return total, err
			})
		})
		wg.Go(func() {
			s.watch(done, "verify", size, func() (int64, error) {
				r, err := s.VerifyAudit(s.ctx, "mesh")
				if !r.Valid {
					return r.Entries, fmt.Errorf("chain is broken: %+v", r)
				}
				return r.Entries, err
			})
		})
	}
	for n := range batches {
		var list []*store.Message
		for i := range size {
			list = append(list, message(n*size+i))
		}
		b := queued(list, key(1))
		b.Audit = entries("mesh", n*size, size)
		if err := s.Commit(s.ctx, &b); err != nil {
			s.Error(err)
			break
		}
	}
	close(done)
	wg.Wait()
	s.wantVerdict("mesh", audit.Result{Valid: true, Entries: batches * size})
}

func (s *suite) depthNow() (int64, error) {
	n, _, err := s.QueueDepth(s.ctx)
	return n, err
}

// watch calls count until done: what it counts never falls, and is always a
// multiple of size.
func (s *suite) watch(done <-chan struct{}, what string, size int64, count func() (int64, error)) {
	var last int64
	for {
		select {
		case <-done:
			return
		default:
		}
		n, err := count()
		if err != nil || n < last || n%size != 0 {
			s.Errorf("%s: %d after %d, error %v", what, n, last, err)
			return
		}
		last = n
	}
}

func commitBeside(s *suite) {
	mesh, _ := s.mesh(1)
	inv := invite(mesh.ID, 1, 20)
	s.must(s.CreateInvite(s.ctx, inv))
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 2; n < 22; n++ {
			if err := s.RedeemInvite(s.ctx, inv.ID, member(mesh.ID, n)); err != nil {
				s.Error(err)
			}
		}
	})
	wg.Go(func() {
		for n := range 20 {
			if _, err := s.ChangeMember(s.ctx, member(mesh.ID, 1).ID, grant(store.Grants{key(byte(n)): nil})); err != nil {
				s.Error(err)
			}
			if _, err := s.PruneQueue(s.ctx, now(), 10); err != nil {
				s.Error(err)
			}
		}
	})
	for n := 1; n <= 25; n++ {
		b := everything(n)
		if err := s.Commit(s.ctx, &b); err != nil {
			s.Error(err)
		}
	}
	wg.Wait()
	s.wantEverything(25)
	s.wantMembers(mesh.ID, 21)
	s.wantUsed(inv, 20)
}

func reopenAll(s *suite) {
	mesh, list := s.mesh(2)
	inv := invite(mesh.ID, 1, 3)
	s.must(s.CreateInvite(s.ctx, inv))
	s.must(s.SetRevoked(s.ctx, list[0].ID, now()))
	list[0].RevokedAt = now()
	s.commit(everything(1))
	s.commit(everything(2))
	for range 2 {
		s.reopen()
		s.must(s.Ping(s.ctx))
		got, err := s.FindMesh(s.ctx, mesh.Slug)
		s.must(err)
		same(s, got, mesh)
		members, err := s.ListMembers(s.ctx, mesh.ID)
		s.must(err)
		same(s, members, list)
		again, err := s.InviteByToken(s.ctx, tokenOf(inv))
		s.must(err)
		same(s, again, inv)
		s.wantEverything(2)
	}
	s.wantClosed(2)
	s.commit(everything(3))
	s.wantEverything(3)
}

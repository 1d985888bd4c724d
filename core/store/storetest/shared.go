package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// SharedStore is a store that several processes can open at once.
type SharedStore interface {
	store.Store
	store.Shared
}

// RunShared runs the suite of what a store offers to brokers that share it.
// Open is as in [Run]; called again by the same test it opens the same database
// once more, as another process would.
func RunShared(t *testing.T, open func(t *testing.T) SharedStore) {
	t.Helper()
	for _, group := range []struct {
		name  string
		tests []sharedTest
	}{
		{"nodes", nodes},
		{"roll", roll},
		{"signals", signals},
		{"turns", turns},
		{"sends", sharedSends},
		{"chains", sharedChains},
		{"values", sharedValues},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, tt := range group.tests {
				t.Run(tt.name, func(t *testing.T) {
					t.Parallel()
					tt.run(newShared(t, open))
				})
			}
		})
	}
}

// sharedTest finishes the sentence "it …".
type sharedTest struct {
	name string
	run  func(*shared)
}

// shared is one test with the stores of three brokers; the suite's store is the
// first one's.
type shared struct {
	suite
	brokers [3]SharedStore
}

func newShared(t *testing.T, open func(t *testing.T) SharedStore) *shared {
	t.Helper()
	s := new(shared)
	for i := range s.brokers {
		b := open(t)
		t.Cleanup(func() {
			if err := b.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
		s.brokers[i] = b
	}
	s.suite = suite{T: t, Store: s.brokers[0], ctx: t.Context()}
	return s
}

// eventually waits until done, which is asked again and again.
func (s *shared) eventually(what string, done func() bool) {
	s.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("%s: waited for too long", what)
		}
	}
}

var sharedSends = []sharedTest{
	{"the second use of a client's id brings no message, and learns what was first", sendTwice},
	{"one of many brokers that use a client's id at once has the message", sendRace},
	{"a message whose id nobody asked to remember is written in any case", sendUnremembered},
	{"keys with something waiting are told apart", waitingKeys},
	{"what many brokers release at once is released once", releaseTogether},
	{"a message that came second is not held either", holdSecond},
	{"a session key is the first claimer's, in any broker", claimShared},
	{"of many brokers that claim a task at once one gets it", claimTogether},
	{"what many brokers write at once does not go beyond the room", fillTogether},
	{"what many brokers remember at once is one memory", rememberTogether},
}

// sendOnce is a batch that brings message n, which is remembered under a
// client's id, for one key.
func sendOnce(n int, clientID, fingerprint string) store.Batch {
	m := sending(n, clientID, fingerprint)
	b := queued([]*store.Message{m}, key(1))
	b.Sent = []*store.Message{m}
	return b
}

func sendTwice(s *shared) {
	first, second := sendOnce(1, "c", "f1"), sendOnce(2, "c", "f2")
	other, rowless := sendOnce(3, "d", ""), sending(4, "c", "f4")
	second.Messages = append(second.Messages, other.Messages...)
	second.Deliveries = append(second.Deliveries, other.Deliveries...)
	second.Sent = append(second.Sent, other.Messages[0], rowless)
	second.Audit = entries("mesh", 1, 1)

	s.must(s.brokers[0].Commit(s.ctx, &first))
	if len(first.Repeats) != 0 {
		s.Errorf("the first has repeats: %v", first.Repeats)
	}
	s.must(s.brokers[1].Commit(s.ctx, &second))
	was := store.Sent{MessageID: message(1).ID, Fingerprint: "f1"}
	same(&s.suite, second.Repeats, map[*store.Message]store.Sent{second.Messages[0]: was, rowless: was})
	s.wantPending(drain(key(1)), first.Messages[0], other.Messages[0])
	s.wantGone(message(2))
	s.wantSent("mesh", "ada", "c", was)
	s.wantSent("mesh", "ada", "d", store.Sent{MessageID: message(3).ID})
	s.wantVerdict("mesh", audit.Result{Valid: true, Entries: 1})
}

func sendRace(s *shared) {
	const rounds = 20
	for round := range rounds {
		var (
			batches [len(s.brokers)]store.Batch
			wg      sync.WaitGroup
		)
		for i, b := range s.brokers {
			for j := range 5 { // in another order each
				n := round*100 + i*10 + j
				one := sendOnce(n, fmt.Sprintf("%d/%d", round, (i+j)%5), fmt.Sprint(n))
				batches[i].Messages = append(batches[i].Messages, one.Messages...)
				batches[i].Deliveries = append(batches[i].Deliveries, one.Deliveries...)
				batches[i].Sent = append(batches[i].Sent, one.Sent...)
			}
			wg.Go(func() {
				if err := b.Commit(s.ctx, &batches[i]); err != nil {
					s.Error(err)
				}
			})
		}
		wg.Wait()
		kept := 0
		for i := range batches {
			for _, m := range batches[i].Messages {
				first, repeat := batches[i].Repeats[m]
				if !repeat {
					kept++
					first = store.Sent{MessageID: m.ID, Fingerprint: m.Fingerprint}
				}
				s.wantSent("mesh", "ada", m.ClientMessageID, first)
			}
		}
		if kept != 5 {
			s.Fatalf("%d messages were kept, want 5", kept)
		}
	}
	if n, err := s.depthNow(); err != nil || n != 5*rounds {
		s.Errorf("%d wait, error %v; want %d", n, err, 5*rounds)
	}
}

func sendUnremembered(s *shared) {
	first := sendOnce(1, "c", "")
	s.must(s.brokers[0].Commit(s.ctx, &first))
	again := sendOnce(2, "c", "")
	again.Sent = nil
	s.must(s.brokers[1].Commit(s.ctx, &again))
	s.wantPending(drain(key(1)), first.Messages[0], again.Messages[0])
}

func waitingKeys(s *shared) {
	s.commit(queued([]*store.Message{message(1), message(2)}, key(1), key(2)))
	s.commit(store.Batch{Settled: []store.Settlement{settled(1, key(2), 0), settled(2, key(2), 0)}})
	for mesh, want := range map[string][]sdk.Key{"mesh": {key(1)}, "other": nil} {
		got, err := s.brokers[1].Waiting(s.ctx, mesh, []sdk.Key{key(3), key(2), key(1)})
		s.must(err)
		same(&s.suite, got, want)
	}
	none, err := s.brokers[1].Waiting(s.ctx, "mesh", nil)
	s.must(err)
	same(&s.suite, none, nil)
}

func releaseTogether(s *shared) {
	const messages = 200
	var list []*store.Message
	for n := range messages {
		list = append(list, until(n, due(10)))
	}
	s.commit(holding(list, key(1)))
	var released [len(s.brokers)]int
	var wg sync.WaitGroup
	for i, b := range s.brokers {
		wg.Go(func() {
			for next := due(10); !next.IsZero() && s.ctx.Err() == nil; {
				got, err := b.Release(s.ctx, due(10), 7)
				if err == nil {
					released[i] += len(got)
					next, err = b.NextRelease(s.ctx)
				}
				if err != nil {
					s.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if sum := released[0] + released[1] + released[2]; sum != messages {
		s.Errorf("%v were released, want %d together", released, messages)
	}
	d := drain(key(1))
	d.Limit = messages + 1
	s.wantPending(d, read(list...)...)
	if got, err := s.brokers[1].Waiting(s.ctx, "mesh", []sdk.Key{key(1)}); err != nil || len(got) != 1 {
		s.Errorf("got %v, error %v", got, err)
	}
}

func holdSecond(s *shared) {
	first, second := sendOnce(1, "c", ""), sendOnce(2, "c", "")
	second.Deliveries, second.Held = nil, second.Deliveries
	second.Messages[0].NotBefore = due(10)
	s.must(s.brokers[0].Commit(s.ctx, &first))
	s.must(s.brokers[1].Commit(s.ctx, &second))
	s.wantNext(time.Time{})
	if none, err := s.brokers[1].Waiting(s.ctx, "mesh", []sdk.Key{key(2)}); err != nil || len(none) != 0 {
		s.Errorf("got %v, error %v", none, err)
	}
}

func claimShared(s *shared) {
	owners := make([]string, 8)
	s.atOnce(nil, func(n int) (err error) {
		k := claim("mesh", key(1), fmt.Sprint("member ", n))
		owners[n], err = s.brokers[n%len(s.brokers)].ClaimSessionKey(s.ctx, k)
		return err
	})
	s.wantOwner("mesh", key(1), owners[0])
	if slices.ContainsFunc(owners, func(o string) bool { return o != owners[0] }) {
		s.Errorf("got owners %q", owners)
	}
}

func claimTogether(s *shared) {
	s.mesh(0)
	for round := range 5 {
		if round > 0 {
			_, err := s.ChangeTask(s.ctx, id("mesh", 1), id("task", 1), func(t *store.Task) error { t.Status = store.TaskOpen; return nil })
			s.must(err)
		} else {
			s.create(task(1))
		}
		var got [8]error
		s.atOnce(nil, func(n int) error {
			_, got[n] = s.brokers[n%len(s.brokers)].ChangeTask(s.ctx, id("mesh", 1), id("task", 1), claimTask(n))
			return nil
		})
		s.wantOneClaim(got[:])
	}
}

func fillTogether(s *shared) {
	s.mesh(0)
	room := store.Room{Mesh: 3, Member: 3}
	memories, _ := s.atOnce(store.ErrExhausted, func(n int) error {
		_, _, err := s.brokers[n%len(s.brokers)].Remember(s.ctx, memory(id("mesh", 1), n, fmt.Sprint("fox ", n)), room)
		return err
	})
	tasks, _ := s.atOnce(store.ErrExhausted, func(n int) error {
		_, _, err := s.brokers[n%len(s.brokers)].CreateTask(s.ctx, task(n), room)
		return err
	})
	if memories != 3 || tasks != 3 {
		s.Errorf("%d memories and %d tasks are written, want 3 each", memories, tasks)
	}
}

func rememberTogether(s *shared) {
	s.mesh(0)
	again := errors.New("again")
	written, _ := s.atOnce(again, func(n int) error {
		_, fresh, err := s.brokers[n%len(s.brokers)].Remember(s.ctx, memory(id("mesh", 1), n, "a fox"), plenty())
		if err == nil && !fresh {
			return again
		}
		return err
	})
	if written != 1 {
		s.Errorf("%d are written", written)
	}
}

var sharedChains = []sharedTest{
	{"a thousand writers on three brokers continue one chain", chainTogether},
	{"batches of many meshes never wait in a circle", chainsTogether},
}

func chainTogether(s *shared) {
	const writers = 1000
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() {
			b := store.Batch{Audit: entries("mesh", n, 1)}
			if err := s.brokers[n%len(s.brokers)].Commit(s.ctx, &b); err != nil {
				s.Error(err)
			}
		})
	}
	wg.Wait()
	s.wantVerdict("mesh", audit.Result{Valid: true, Entries: writers})
	head, err := s.AuditHead(s.ctx, "mesh")
	s.must(err)
	if head.LastID != writers {
		s.Errorf("the last id is %d", head.LastID)
	}
}

func chainsTogether(s *shared) {
	const rounds, meshes = 30, 7
	var wg sync.WaitGroup
	for i, b := range s.brokers {
		wg.Go(func() {
			for round := range rounds {
				var batch store.Batch
				for m := range meshes { // in another order each
					mesh := fmt.Sprint("mesh ", (m*(i+1)+round)%meshes)
					batch.Audit = append(batch.Audit, entries(mesh, round, 2)...)
				}
				if err := b.Commit(s.ctx, &batch); err != nil {
					s.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for m := range meshes {
		s.wantVerdict(fmt.Sprint("mesh ", m), audit.Result{Valid: true, Entries: int64(2 * rounds * len(s.brokers))})
	}
}

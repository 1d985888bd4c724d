package storetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/store"
)

var signals = []sharedTest{
	{"a signal comes back as it was sent", signalRoundTrip},
	{"signals become visible in the order of their ids", signalOrder},
	{"old signals are deleted, and ids go on", signalPrune},
	{"a change of a member is told with it", signalMember},
	{"a change of a mesh is told with it", signalMesh},
	{"changes of a member in all brokers all count", mergeMember},
	{"of members that demote each other in all brokers one stays an admin", demoteMember},
}

func signalMember(s *shared) {
	_, members := s.mesh(1)
	id := members[0].ID
	_, err := s.brokers[0].ChangeMember(s.ctx, id, grant(store.Grants{key(9): nil}))
	s.must(err)
	s.must(s.brokers[1].SetRevoked(s.ctx, id, now()))
	s.must(s.brokers[1].SetRevoked(s.ctx, id, time.Time{}))
	s.wantErr(s.brokers[0].SetRevoked(s.ctx, "nobody", now()), store.ErrNotFound)
	list, err := s.brokers[2].SignalsAfter(s.ctx, 0, 10)
	s.must(err)
	var got []string
	for _, sig := range list {
		got = append(got, sig.Kind+" "+string(sig.Payload))
	}
	same(&s.suite, got, []string{
		store.SignalMember + ` "` + id + `"`, store.SignalRevoked + ` "` + id + `"`, store.SignalMember + ` "` + id + `"`,
	})
}

func signalMesh(s *shared) {
	m, _ := s.mesh(1)
	_, err := s.brokers[0].ChangeMesh(s.ctx, m.ID, func(row *store.Mesh) error {
		row.Name = "new"
		return nil
	})
	s.must(err)
	_, err = s.brokers[1].ChangeMesh(s.ctx, m.ID, func(*store.Mesh) error { return errors.New("refused") })
	if err == nil {
		s.Error("got no error")
	}
	list, err := s.brokers[2].SignalsAfter(s.ctx, 0, 10)
	s.must(err)
	if len(list) != 1 || list[0].Kind != store.SignalMesh || string(list[0].Payload) != `"`+m.ID+`"` {
		s.Errorf("got %+v", list)
	}
}

func mergeMember(s *shared) {
	_, members := s.mesh(1)
	s.atOnce(nil, func(n int) error {
		_, err := s.brokers[n%len(s.brokers)].ChangeMember(s.ctx, members[0].ID, func(m *store.Member) error {
			m.DefaultGroups = append(m.DefaultGroups, store.Group{Name: fmt.Sprint(n)})
			return nil
		})
		return err
	})
	got, err := s.MemberByID(s.ctx, members[0].ID)
	s.must(err)
	if len(got.DefaultGroups) != 8 {
		s.Errorf("got %v", got.DefaultGroups)
	}
	list, err := s.brokers[2].SignalsAfter(s.ctx, 0, 10)
	s.must(err)
	same(&s.suite, len(list), 8)
}

func demoteMember(s *shared) {
	list := s.admins()
	won, lost := s.atOnce(errLast, func(n int) error { return demote(&s.suite, s.brokers[n%len(s.brokers)], list[n].ID) })
	if won != 7 || lost != 1 {
		s.Errorf("%d were demoted, %d refused", won, lost)
	}
}

func signalRoundTrip(s *shared) {
	if last, err := s.brokers[1].LastSignal(s.ctx); err != nil || last != 0 {
		s.Errorf("got last signal %d, error %v", last, err)
	}
	all := &store.Signal{Kind: "forget", Payload: []byte(`{"b":"\u0000 größe", "a":1}`)}
	one := &store.Signal{Node: "node", Kind: "end", Payload: []byte(`{}`)}
	for _, sig := range []*store.Signal{all, one} {
		s.must(s.brokers[0].Signal(s.ctx, sig))
	}
	if all.ID <= 0 || one.ID <= all.ID || all.At.IsZero() || all.At.Location() != time.UTC {
		s.Errorf("got %+v, %+v", all, one)
	}
	for _, step := range []struct {
		after int64
		limit int
		want  []*store.Signal
	}{
		{0, 10, []*store.Signal{all, one}}, {0, 1, []*store.Signal{all}}, {all.ID, 10, []*store.Signal{one}},
		{one.ID, 10, nil}, {0, 0, nil},
	} {
		got, err := s.brokers[1].SignalsAfter(s.ctx, step.after, step.limit)
		s.must(err)
		same(&s.suite, got, step.want)
	}
	if last, err := s.brokers[2].LastSignal(s.ctx); err != nil || last != one.ID {
		s.Errorf("got last signal %d, error %v; want %d", last, err, one.ID)
	}
}

// signalOrder follows the log while eight write to it: whoever remembers only
// the last id that it saw sees every signal.
func signalOrder(s *shared) {
	const each, writers = 25, 8
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() {
			for i := range each {
				sig := &store.Signal{Kind: "k", Payload: fmt.Appendf(nil, "%d", i)}
				if err := s.brokers[n%len(s.brokers)].Signal(s.ctx, sig); err != nil {
					s.Error(err)
					return
				}
			}
		})
	}
	defer wg.Wait()
	var last int64
	for seen := 0; seen < each*writers; {
		list, err := s.brokers[2].SignalsAfter(s.ctx, last, 7)
		s.must(err)
		for _, sig := range list {
			if sig.ID <= last {
				s.Fatalf("signal %d came after %d", sig.ID, last)
			}
			last = sig.ID
		}
		seen += len(list)
		if s.Failed() {
			return
		}
		if len(list) == 0 {
			s.eventually("more signals", func() bool {
				id, err := s.brokers[2].LastSignal(s.ctx)
				s.must(err)
				return id > last || s.Failed()
			})
		}
	}
}

func signalPrune(s *shared) {
	var sigs [2]store.Signal
	for i := range sigs {
		s.must(s.brokers[0].Signal(s.ctx, &sigs[i]))
	}
	if n, err := s.brokers[1].PruneSignals(s.ctx, sigs[0].At); err != nil || n != 0 {
		s.Errorf("deleted %d, error %v; want none", n, err)
	}
	bulky := store.Signal{Kind: store.SignalNotice}
	s.must(s.brokers[0].Signal(s.ctx, &bulky))
	later := bulky.At.Add(time.Second)
	if n, err := s.brokers[1].PruneSignals(s.ctx, later, store.SignalNotice); err != nil || n != 1 {
		s.Errorf("deleted %d of one kind, error %v; want 1", n, err)
	}
	if n, err := s.brokers[1].PruneSignals(s.ctx, later); err != nil || n != 2 {
		s.Errorf("deleted %d, error %v; want 2", n, err)
	}
	var next store.Signal
	s.must(s.brokers[1].Signal(s.ctx, &next))
	if next.ID <= sigs[1].ID {
		s.Errorf("id %d comes after %d", next.ID, sigs[1].ID)
	}
}

var turns = []sharedTest{
	{"a token is fresh once, in all brokers", useOnce},
	{"a lock is held by one broker until its release", lockOnce},
	{"locks with other names are others", lockNames},
	{"a lock ends with the store that holds it", lockClosed},
}

func useOnce(s *shared) {
	until := time.Now().Add(time.Hour)
	for n := range byte(10) {
		var (
			mu    sync.Mutex
			fresh int
		)
		s.atOnce(nil, func(i int) error {
			ok, err := s.brokers[i%len(s.brokers)].UseOnce(s.ctx, [32]byte{n}, until)
			mu.Lock()
			defer mu.Unlock()
			if ok {
				fresh++
			}
			return err
		})
		if fresh != 1 {
			s.Errorf("token %d was fresh %d times", n, fresh)
		}
	}
}

// wantLock tries to take a lock and checks whether that succeeded.
func (s *shared) wantLock(broker int, name string, want bool) (release func()) {
	s.Helper()
	release, ok, err := s.brokers[broker].TryLock(s.ctx, name)
	s.must(err)
	if ok != want {
		s.Fatalf("broker %d has lock %q: %v, want %v", broker, name, ok, want)
	}
	return release
}

func lockOnce(s *shared) {
	release := s.wantLock(0, "sweep", true)
	s.wantLock(1, "sweep", false)
	s.wantLock(0, "sweep", false)
	for range 2 {
		release()
	}
	s.gets(1, "sweep")()
	s.gets(0, "sweep")()
}

// gets waits until a broker gets a lock.
func (s *shared) gets(broker int, name string) (release func()) {
	s.Helper()
	s.eventually("lock "+name, func() (ok bool) {
		var err error
		release, ok, err = s.brokers[broker].TryLock(s.ctx, name)
		s.must(err)
		return ok
	})
	return release
}

func lockNames(s *shared) {
	for n := range 20 { // more than the pool has
		release := s.wantLock(n%2, fmt.Sprint("lock ", n), true)
		defer release()
	}
	s.must(s.brokers[0].Ping(s.ctx))
}

func lockClosed(s *shared) {
	s.wantLock(1, "sweep", true)
	s.must(s.brokers[1].Close())
	s.gets(0, "sweep")()
}

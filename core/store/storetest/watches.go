package storetest

import (
	"time"

	"github.com/claudemesh/broker/core/store"
)

var watches = []test{
	{"a watch comes back as it was made, and as it was left", watchRoundTrip},
	{"who asks for the same again gets the same watch", watchAgain},
	{"watches that are due come, the one that has waited longest first", watchDue},
	{"what a watch has seen is untold until its member was told of it", watchUntold},
	{"a watch belongs to one member of one mesh", watchOwners},
	{"a mesh and a member have room for so many watches", watchRoom},
}

// watch makes the n-th watch of a member of the first mesh.
func watch(n int, member string) *store.Watch {
	return &store.Watch{
		ID: id("watch", n), MeshID: id("mesh", 1), MemberID: member, Request: [32]byte{1, byte(n)}, URL: "https://example.org/ä?b='c'",
		Mode: "json", Extract: "a.0", NotifyOn: "match:x", Headers: `{"a":"b"}`, Label: "é", Every: 90 * time.Second,
		CreatedAt: now().Add(time.Duration(n) * time.Second), WatchState: store.WatchState{NextAt: now().Add(time.Duration(n) * time.Second)},
	}
}

func (s *suite) look(list ...*store.Watch) {
	s.Helper()
	for _, w := range list {
		if got, fresh, err := s.CreateWatch(s.ctx, w, ample); err != nil || got != w.ID || !fresh {
			s.Fatalf("got %s, fresh %v, error %v", got, fresh, err)
		}
	}
}

func (s *suite) wantWatches(member string, want ...*store.Watch) {
	s.Helper()
	got, err := s.ListWatches(s.ctx, id("mesh", 1), member)
	s.must(err)
	same(s, got, want)
}

func watchRoundTrip(s *suite) {
	s.mesh(0)
	first, second := watch(1, "ada"), watch(2, "ada")
	s.look(second, first)
	s.wantWatches("ada", first, second)
	first.WatchState = store.WatchState{
		Value: "v", CheckedAt: now(), Failures: 3, Failure: "timed out", NextAt: now().Add(time.Hour),
		Untold: store.Sight{Old: "u", New: "v", At: now()},
	}
	s.must(s.SetWatchState(s.ctx, first.ID, &first.WatchState))
	s.reopen()
	s.wantWatches("ada", first, second)
	gone, err := s.DeleteWatch(s.ctx, first.MeshID, "ada", first.ID)
	s.must(err)
	same(s, gone, first)
	_, err = s.DeleteWatch(s.ctx, first.MeshID, "ada", first.ID)
	s.wantErr(err, store.ErrNotFound)
	s.wantErr(s.SetWatchState(s.ctx, first.ID, &first.WatchState), store.ErrNotFound)
}

func watchAgain(s *suite) {
	s.mesh(0)
	w, again, other := watch(1, "ada"), watch(2, "ada"), watch(3, "bo")
	again.Request, other.Request = w.Request, w.Request
	s.look(w, other)
	got, fresh, err := s.CreateWatch(s.ctx, again, store.Room{}) // it needs no room
	if err != nil || fresh || got != w.ID {
		s.Errorf("got %s, fresh %v, error %v", got, fresh, err)
	}
	s.wantWatches("ada", w)
}

func watchDue(s *suite) {
	s.mesh(0)
	late, soon, later := watch(2, "ada"), watch(1, "bo"), watch(9, "cy")
	s.look(late, soon, later)
	for _, tt := range []struct {
		skip, limit int
		want        []*store.Watch
	}{{0, 10, []*store.Watch{soon, late}}, {0, 1, []*store.Watch{soon}}, {1, 10, []*store.Watch{late}}, {2, 10, nil}} {
		got, err := s.DueWatches(s.ctx, late.NextAt, tt.skip, tt.limit)
		s.must(err)
		same(s, got, tt.want)
	}
}

func watchOwners(s *suite) {
	s.mesh(0)
	w := watch(1, "ada")
	s.look(w)
	for _, owner := range []struct{ mesh, member string }{{w.MeshID, "bo"}, {id("mesh", 2), "ada"}} {
		_, err := s.DeleteWatch(s.ctx, owner.mesh, owner.member, w.ID)
		s.wantErr(err, store.ErrNotFound)
		list, err := s.ListWatches(s.ctx, owner.mesh, owner.member)
		s.must(err)
		same(s, list, nil)
	}
	s.wantWatches("ada", w)
}

func watchRoom(s *suite) {
	s.mesh(0)
	room := store.Room{Mesh: 3, Member: 2}
	create := func(n int, member string) error {
		_, _, err := s.CreateWatch(s.ctx, watch(n, member), room)
		return err
	}
	s.must(create(1, "ada"))
	s.must(create(2, "ada"))
	wantFull(s, create(3, "ada"), store.FullError{Member: true, Most: 2})
	s.must(create(4, "bo"))
	wantFull(s, create(5, "bo"), store.FullError{Most: 3})
}

func watchUntold(s *suite) {
	s.mesh(0)
	knows, first, second := watch(1, "ada"), watch(2, "ada"), watch(3, "bo")
	s.look(knows, first, second)
	for _, w := range []*store.Watch{first, second} {
		w.Untold = store.Sight{Old: "a", New: "b", At: now()}
		s.must(s.SetWatchState(s.ctx, w.ID, &w.WatchState))
	}
	untold := func(after string, limit int, want ...*store.Watch) {
		s.Helper()
		got, err := s.UntoldWatches(s.ctx, after, limit)
		s.must(err)
		same(s, got, want)
	}
	untold("", 9, first, second)
	untold("", 1, first)
	untold(first.ID, 9, second)
	s.must(s.WatchTold(s.ctx, first.ID, now().Add(time.Second)))
	untold("", 9, first, second) // it was told of something else
	s.must(s.WatchTold(s.ctx, first.ID, first.Untold.At))
	untold("", 9, second)
	s.must(s.WatchTold(s.ctx, "none", now()))
}

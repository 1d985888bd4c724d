package storetest

import (
	"fmt"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/store"
)

var streams = []test{
	{"a stream is created once and listed as it was written", createStream},
	{"streams are listed, the oldest first", listStreams},
	{"a mesh and a member have room for so many streams", fullStreams},
	{"of many that create one stream at once all get one id", streamRace},
	{"streams survive a restart", reopenStreams},
}

// stream makes the n-th stream of the first mesh.
func stream(n int) *store.Stream {
	return &store.Stream{
		ID: id("stream", n), MeshID: id("mesh", 1), Name: fmt.Sprint("größe/", n), MemberID: id("ada", 1), Author: "Ада",
		CreatedAt: now().Add(time.Duration(n) * time.Second),
	}
}

func (s *suite) wantStreams(want ...*store.Stream) {
	s.Helper()
	got, err := s.ListStreams(s.ctx, id("mesh", 1), 100)
	s.must(err)
	same(s, got, want)
}

// wantStream creates a stream, which must get an id.
func (s *suite) wantStream(st *store.Stream, room store.Room, want string, fresh bool) {
	s.Helper()
	got, isFresh, err := s.CreateStream(s.ctx, st, room)
	if err != nil || got != want || isFresh != fresh {
		s.Errorf("got %s, fresh %v, error %v; want %s, %v", got, isFresh, err, want, fresh)
	}
}

func createStream(s *suite) {
	s.mesh(0)
	again := stream(1)
	again.ID, again.MemberID = id("other", 1), id("bo", 1)
	s.wantStream(stream(1), plenty(), stream(1).ID, true)
	s.wantStream(again, plenty(), stream(1).ID, false)
	s.wantStreams(stream(1))
	other, err := s.ListStreams(s.ctx, "another mesh", 100)
	s.must(err)
	same(s, other, nil)
}

func listStreams(s *suite) {
	s.mesh(0)
	for _, n := range []int{3, 1, 2} {
		s.wantStream(stream(n), plenty(), stream(n).ID, true)
	}
	s.wantStreams(stream(1), stream(2), stream(3))
	got, err := s.ListStreams(s.ctx, id("mesh", 1), 2)
	s.must(err)
	same(s, got, []*store.Stream{stream(1), stream(2)})
}

func fullStreams(s *suite) {
	s.mesh(0)
	room := store.Room{Mesh: 3, Member: 2}
	s.wantStream(stream(1), room, stream(1).ID, true)
	s.wantStream(stream(2), room, stream(2).ID, true)
	_, _, err := s.CreateStream(s.ctx, stream(3), room)
	s.wantErr(err, store.ErrExhausted)
	s.wantStream(stream(2), room, stream(2).ID, false)
	other := stream(3)
	other.MemberID = id("bo", 1)
	s.wantStream(other, room, other.ID, true)
	other = stream(4)
	other.MemberID = id("cy", 1)
	_, _, err = s.CreateStream(s.ctx, other, room)
	s.wantErr(err, store.ErrExhausted)
}

func streamRace(s *suite) {
	s.mesh(0)
	var ids [8]string
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			st := stream(1)
			st.ID = id("try", i)
			got, _, err := s.CreateStream(s.ctx, st, plenty())
			if err != nil {
				s.Error(err)
			}
			ids[i] = got
		})
	}
	all.Wait()
	for _, got := range ids {
		if got != ids[0] {
			s.Errorf("got the ids %q", ids)
			return
		}
	}
}

func reopenStreams(s *suite) {
	s.mesh(0)
	s.wantStream(stream(1), plenty(), stream(1).ID, true)
	s.reopen()
	s.wantStreams(stream(1))
}

package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/core/store"
)

var clocks = []test{
	{"a clock is only changed by who has seen it", clockOver},
	{"clocks that run are listed", clockRunning},
	{"of many that tell of a tick one does, and of those of one step only one is told", clockTell},
	{"peers are told of no tick so soon after another, whatever its step", clockGap},
	{"of many that set the first clock at once one does", clockRace},
}

func clock(mesh string) *store.Clock {
	return &store.Clock{MeshID: mesh, Speed: 2.5, Since: now(), Tick: 7, StartedAt: now().Add(-time.Hour)}
}

func clockOver(s *suite) {
	s.mesh(0)
	first, next := clock(id("mesh", 1)), clock(id("mesh", 1))
	_, err := s.Clock(s.ctx, first.MeshID)
	s.wantErr(err, store.ErrNotFound)
	s.wantErr(s.SetClock(s.ctx, next, first), store.ErrConflict)
	s.must(s.SetClock(s.ctx, first, nil))
	s.wantErr(s.SetClock(s.ctx, next, nil), store.ErrConflict)
	next.Paused, next.Tick, next.Since, next.Speed = true, 8, now().Add(time.Minute), 0.1
	s.must(s.SetClock(s.ctx, next, first))
	s.wantErr(s.SetClock(s.ctx, first, first), store.ErrConflict)
	s.reopen()
	got, err := s.Clock(s.ctx, first.MeshID)
	s.must(err)
	same(s, got, next)
	s.must(s.SetClock(s.ctx, first, got))
}

func clockRunning(s *suite) {
	s.mesh(0)
	other := &store.Mesh{ID: id("mesh", 2), Slug: "second", CreatedAt: now()}
	s.must(s.CreateMesh(s.ctx, other, nil))
	runs, rests := clock(other.ID), clock(id("mesh", 1))
	rests.Paused = true
	s.must(s.SetClock(s.ctx, runs, nil))
	s.must(s.SetClock(s.ctx, rests, nil))
	list, err := s.RunningClocks(s.ctx)
	s.must(err)
	same(s, list, []*store.Clock{runs})
}

func clockRace(s *suite) {
	s.mesh(0)
	var all sync.WaitGroup
	var got [8]error
	for i := range got {
		all.Go(func() { got[i] = s.SetClock(s.ctx, clock(id("mesh", 1)), nil) })
	}
	all.Wait()
	won := 0
	for _, err := range got {
		if err == nil {
			won++
		} else if !errors.Is(err, store.ErrConflict) {
			s.Error(err)
		}
	}
	if won != 1 {
		s.Errorf("%d have won", won)
	}
}

func clockTell(s *suite) {
	s.mesh(0)
	s.must(s.SetClock(s.ctx, clock(id("mesh", 1)), nil))
	at := now()
	tell := func(tick, step int64, want int) {
		s.Helper()
		at = at.Add(5 * time.Second)
		var all sync.WaitGroup
		var told atomic.Int64
		for range 4 {
			all.Go(func() {
				first, err := s.TellTick(s.ctx, &store.Tick{MeshID: id("mesh", 1), Number: tick, Step: step, At: at, Gap: 4 * time.Second})
				if err != nil {
					s.Error(err)
				}
				if first {
					told.Add(1)
				}
			})
		}
		all.Wait()
		if int(told.Load()) != want {
			s.Errorf("tick %d of steps of %d: %d tell, want %d", tick, step, told.Load(), want)
		}
	}
	tell(7, 1, 1)
	tell(7, 1, 0)
	tell(8, 9, 0)
	tell(9, 9, 1)
	tell(17, 9, 0)
	tell(10, 1, 1)
	first, err := s.TellTick(s.ctx, &store.Tick{MeshID: "none", Number: 1, Step: 1, At: at})
	if s.must(err); first {
		s.Error("a mesh without a clock ticks")
	}
}

func clockGap(s *suite) {
	s.mesh(0)
	s.must(s.SetClock(s.ctx, clock(id("mesh", 1)), nil))
	for n, tt := range []struct {
		after time.Duration // the first
		want  bool
	}{
		{0, true}, {time.Second, false}, {3 * time.Second, false}, {5 * time.Second, true},
		{3 * time.Second, false},                               // a clock that is behind
		{-time.Hour, true}, {-time.Hour + 9*time.Second, true}, // one that was set right
	} {
		t := &store.Tick{MeshID: id("mesh", 1), Number: int64(8 + n), Step: 1, At: now().Add(tt.after), Gap: 4 * time.Second}
		first, err := s.TellTick(s.ctx, t)
		if s.must(err); first != tt.want {
			s.Errorf("%s after the first: told %v, want %v", tt.after, first, tt.want)
		}
	}
}

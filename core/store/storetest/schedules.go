package storetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/store"
)

var schedules = []test{
	{"a schedule is created, changed and read as it was written", changeSchedule},
	{"schedules of a member are listed, those that are due first first", listSchedules},
	{"a request that is repeated makes no second schedule", scheduleTwice},
	{"a member and a mesh have room for so many schedules that wait", scheduleFull},
	{"of schedules that have ended the newest are kept", scheduleGivesWay},
	{"a schedule of another mesh is not found", foreignSchedule},
	{"what is due is claimed once, those that wake first first", claimSchedules},
	{"of many that claim at once each gets others", claimSchedulesRace},
	{"schedules end with their member and their mesh", endSchedules},
	{"schedules that have ended long ago are deleted", pruneSchedules},
	{"schedules survive a restart", reopenSchedules},
}

// schedule makes the n-th schedule of ada in the first mesh, which is due after n
// minutes.
func schedule(n int) *store.Schedule {
	due := now().Add(time.Duration(n) * time.Minute)
	return &store.Schedule{
		ID: id("schedule", n), MeshID: id("mesh", 1), MemberID: id("ada", 1), To: "@ops", Subtype: "reminder", Form: store.SchedulePlain,
		Body: fmt.Sprint("text ", n), Cron: "0 9 * * *", Timezone: "Europe/Madrid", CreatedAt: now(), DueAt: due, WakeAt: due,
		State: store.ScheduleWaiting, Secret: fmt.Sprint("secret ", n),
	}
}

func (s *suite) plan(list ...*store.Schedule) {
	s.Helper()
	for _, row := range list {
		got, fresh, err := s.CreateSchedule(s.ctx, row, plenty())
		s.must(err)
		if !fresh {
			s.Errorf("%s is not fresh", row.ID)
		}
		same(s, got, row)
	}
}

// end ends a schedule after n hours.
func (s *suite) end(row *store.Schedule, n int, state store.ScheduleState) {
	s.Helper()
	row.State, row.EndedAt = state, now().Add(time.Duration(n)*time.Hour)
	_, err := s.ChangeSchedule(s.ctx, row.MeshID, row.ID, func(was *store.Schedule) error {
		was.State, was.EndedAt = row.State, row.EndedAt
		return nil
	})
	s.must(err)
}

func (s *suite) wantSchedules(member string, want ...*store.Schedule) {
	s.Helper()
	got, err := s.ListSchedules(s.ctx, id("mesh", 1), member)
	s.must(err)
	same(s, got, want)
}

func changeSchedule(s *suite) {
	s.mesh(0)
	row := schedule(1)
	row.Request = [32]byte{1}
	s.plan(row)
	s.wantSchedules(row.MemberID, row)

	row.Form, row.Nonce, row.Body = store.SchedulePeer, "n", "it's sealed"
	row.DueAt, row.WakeAt, row.Claim, row.Attempts = now().Add(time.Hour), now().Add(2*time.Hour), "node", 3
	row.Secret = "another"
	row.Fired, row.FiredAt, row.Failure, row.EndedAt, row.State = 1<<40, now(), "no", now().Add(time.Minute), store.ScheduleFailed
	got, err := s.ChangeSchedule(s.ctx, row.MeshID, row.ID, func(was *store.Schedule) error {
		created := *was
		*was = *row
		was.To, was.MemberID, was.Cron, was.CreatedAt, was.Request = "not", "to be", "changed", row.EndedAt, [32]byte{2}
		was.ID = created.ID
		return nil
	})
	s.must(err)
	same(s, got, row)

	refused := errors.New("no")
	if got, err := s.ChangeSchedule(s.ctx, row.MeshID, row.ID, func(was *store.Schedule) error {
		was.State = store.ScheduleWaiting
		return refused
	}); !errors.Is(err, refused) || got != nil {
		s.Errorf("got %v, %v", got, err)
	}
	s.wantSchedules(row.MemberID, row)
}

func listSchedules(s *suite) {
	s.mesh(0)
	late, early, other := schedule(9), schedule(2), schedule(5)
	other.MemberID = id("bo", 1)
	s.plan(late, other, early)
	s.end(late, 1, store.ScheduleCancelled)
	s.wantSchedules(id("ada", 1), early, late)
	s.wantSchedules(id("bo", 1), other)
	s.wantSchedules(id("cy", 1))
	got, err := s.ListSchedules(s.ctx, "another mesh", id("ada", 1))
	s.must(err)
	same(s, got, nil)
}

func scheduleTwice(s *suite) {
	s.mesh(0)
	first, again, other := schedule(1), schedule(2), schedule(3)
	first.Request, again.Request, other.Request = [32]byte{1}, [32]byte{1}, [32]byte{2}
	s.plan(first, other, schedule(4), schedule(5)) // those without a request are two
	for range 2 {
		got, fresh, err := s.CreateSchedule(s.ctx, again, store.Room{})
		s.must(err)
		if fresh {
			s.Error("it is fresh")
		}
		same(s, got, first)
		s.end(first, 1, store.ScheduleFired) // it is the same one after its end
	}
}

func scheduleFull(s *suite) {
	s.mesh(0)
	room := store.Room{Mesh: 3, Member: 2}
	ended := schedule(1)
	s.plan(ended, schedule(2))
	s.end(ended, 1, store.ScheduleFired)
	create := func(n int, member string) (*store.FullError, error) {
		row := schedule(n)
		row.MemberID = id(member, 1)
		_, _, err := s.CreateSchedule(s.ctx, row, room)
		full, _ := errors.AsType[*store.FullError](err)
		return full, err
	}
	_, err := create(3, "ada")
	s.must(err)
	full, err := create(4, "ada")
	s.wantErr(err, store.ErrExhausted)
	if full == nil || !full.Member || full.Most != 2 {
		s.Errorf("got %v", err)
	}
	_, err = create(5, "bo")
	s.must(err)
	full, err = create(6, "bo")
	s.wantErr(err, store.ErrExhausted)
	if full == nil || full.Member || full.Most != 3 {
		s.Errorf("got %v", err)
	}
}

func scheduleGivesWay(s *suite) {
	s.mesh(0)
	var list []*store.Schedule
	for n := range 5 {
		row := schedule(n)
		s.plan(row)
		list = append(list, row)
	}
	other := schedule(9)
	other.MemberID = id("bo", 1)
	s.plan(other)
	s.end(other, 0, store.ScheduleFired)
	s.end(list[3], 1, store.ScheduleFired) // the oldest end
	s.end(list[0], 2, store.ScheduleFailed)
	s.end(list[1], 3, store.ScheduleCancelled)
	s.end(list[2], 4, store.ScheduleFired)
	row := schedule(8)
	_, _, err := s.CreateSchedule(s.ctx, row, store.Room{Mesh: 100, Member: 2})
	s.must(err)
	s.wantSchedules(row.MemberID, list[1], list[2], list[4], row)
	s.wantSchedules(other.MemberID, other)
}

func foreignSchedule(s *suite) {
	s.mesh(0)
	row := schedule(1)
	s.plan(row)
	for mesh, scheduleID := range map[string]string{"another": row.ID, row.MeshID: "nothing"} {
		_, err := s.ChangeSchedule(s.ctx, mesh, scheduleID, func(*store.Schedule) error { s.Error("called"); return nil })
		s.wantErr(err, store.ErrNotFound)
	}
}

func claimSchedules(s *suite) {
	s.mesh(0)
	next := func(want time.Time) {
		s.Helper()
		got, err := s.NextSchedule(s.ctx)
		s.must(err)
		if !got.Equal(want) {
			s.Errorf("next is %s, want %s", got, want)
		}
	}
	next(time.Time{})
	list := []*store.Schedule{schedule(3), schedule(1), schedule(2), schedule(0)}
	s.plan(list...)
	s.end(list[3], 1, store.ScheduleFired)
	next(list[1].WakeAt)

	claim := func(name string, at, until time.Time, limit int, want ...*store.Schedule) {
		s.Helper()
		got, err := s.ClaimSchedules(s.ctx, name, at, until, limit)
		s.must(err)
		for _, row := range want {
			row.Claim, row.WakeAt = name, until
		}
		if len(got) != len(want) {
			s.Fatalf("got %d, want %d", len(got), len(want))
		}
		for _, row := range want {
			found := false
			for _, g := range got {
				if g.ID == row.ID {
					same(s, g, row)
					found = true
				}
			}
			if !found {
				s.Errorf("%s was not claimed", row.ID)
			}
		}
	}
	at, until := now().Add(2*time.Minute), now().Add(10*time.Minute)
	claim("a", now(), until, 9)
	claim("a", at, until, 0)
	claim("a", at, until, 1, list[1])
	claim("b", at, until, 9, list[2])
	claim("c", at, until, 9)
	next(list[0].WakeAt)
	claim("d", until, until.Add(time.Hour), 9, list[0], list[1], list[2]) // claims have ended
}

func claimSchedulesRace(s *suite) {
	s.mesh(0)
	const all = 24
	for n := range all {
		s.plan(schedule(n))
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[string]int{}
	for n := range 6 {
		wg.Go(func() {
			list, err := s.ClaimSchedules(s.ctx, fmt.Sprint(n), now().Add(time.Hour), now().Add(2*time.Hour), 7)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				s.Error(err)
			}
			for _, row := range list {
				got[row.ID]++
			}
		})
	}
	wg.Wait()
	for n := range all {
		if got[id("schedule", n)] > 1 {
			s.Errorf("schedule %d was claimed %d times", n, got[id("schedule", n)])
		}
	}
}

func endSchedules(s *suite) {
	_, members := s.mesh(2)
	live, gone := schedule(1), schedule(2)
	live.MemberID, gone.MemberID, gone.Claim = members[0].ID, members[1].ID, "node"
	s.plan(live, gone)
	s.must(s.SetRevoked(s.ctx, gone.MemberID, now()))
	end := func(want int64) {
		s.Helper()
		n, err := s.EndSchedules(s.ctx, now(), "over")
		s.must(err)
		same(s, n, want)
	}
	end(1)
	end(0)
	gone.State, gone.EndedAt, gone.Failure, gone.Claim = store.ScheduleFailed, now(), "over", ""
	s.wantSchedules(gone.MemberID, gone)
	s.wantSchedules(live.MemberID, live)
	_, err := s.ChangeMesh(s.ctx, live.MeshID, func(m *store.Mesh) error { m.ArchivedAt = now(); return nil })
	s.must(err)
	end(1)
}

func pruneSchedules(s *suite) {
	s.mesh(0)
	list := []*store.Schedule{schedule(1), schedule(2), schedule(3), schedule(4)}
	s.plan(list...)
	for n, row := range list[:3] {
		s.end(row, n, store.ScheduleFired)
	}
	for _, want := range []int64{1, 1, 0} {
		n, err := s.PruneSchedules(s.ctx, list[2].EndedAt, 1)
		s.must(err)
		same(s, n, want)
	}
	s.wantSchedules(list[0].MemberID, list[2], list[3])
}

func reopenSchedules(s *suite) {
	s.mesh(0)
	row := schedule(1)
	s.plan(row)
	s.reopen()
	s.wantSchedules(row.MemberID, row)
	got, err := s.ClaimSchedules(s.ctx, "a", row.WakeAt, row.WakeAt.Add(time.Hour), 1)
	s.must(err)
	if len(got) != 1 {
		s.Errorf("%d were claimed", len(got))
	}
}

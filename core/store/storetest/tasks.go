package storetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/store"
)

var tasks = []test{
	{"a task is created, changed and read as it was written", changeTask},
	{"tasks are listed, the newest first", listTasks},
	{"tasks are listed by status and assignee", listMatchingTasks},
	{"a request that is repeated makes no second task", createTwice},
	{"a member has room for so many tasks that are not done", createFull},
	{"where a mesh is full, the oldest task that is done gives way", createGivesWay},
	{"tasks of another mesh are not found", foreignTask},
	{"of many that claim a task at once one gets it", claimRace},
	{"tasks survive a restart", reopenTasks},
}

// task makes the n-th task of the first mesh.
func task(n int) *store.Task {
	return &store.Task{
		ID: id("task", n), MeshID: id("mesh", 1), Title: fmt.Sprint("title ", n), Assignee: "bo", Priority: "normal",
		Tags: []string{"a", "b"}, Status: store.TaskOpen, CreatorID: id("ada", 1), Creator: "Ada",
		CreatedAt: now().Add(time.Duration(n) * time.Second),
	}
}

func (s *suite) create(list ...*store.Task) {
	s.Helper()
	for _, t := range list {
		got, fresh, err := s.CreateTask(s.ctx, t, plenty())
		if err != nil || got != t.ID || !fresh {
			s.Fatalf("got %s, fresh %v, error %v", got, fresh, err)
		}
	}
}

// finish makes a task done.
func (s *suite) finish(t *store.Task) {
	s.Helper()
	got, err := s.ChangeTask(s.ctx, t.MeshID, t.ID, func(t *store.Task) error { t.Status = store.TaskDone; return nil })
	s.must(err)
	*t = *got
}

func changeTask(s *suite) {
	s.mesh(0)
	t := task(1)
	t.Request = [32]byte{1}
	s.create(t)
	got, err := s.Task(s.ctx, t.MeshID, t.ID)
	s.must(err)
	same(s, got, t)

	got, err = s.ChangeTask(s.ctx, t.MeshID, t.ID, func(t *store.Task) error {
		t.Status, t.ClaimerID, t.Claimer, t.ClaimerPresence, t.ClaimedAt = store.TaskClaimed, id("bo", 1), "Bo", "p3", now()
		t.Title, t.CreatorID = "not to be changed", "nor this"
		return nil
	})
	s.must(err)
	t.Status, t.ClaimerID, t.Claimer, t.ClaimerPresence, t.ClaimedAt = store.TaskClaimed, id("bo", 1), "Bo", "p3", now()
	same(s, got, t)

	refused := errors.New("no")
	if got, err := s.ChangeTask(s.ctx, t.MeshID, t.ID, func(t *store.Task) error {
		t.Status = store.TaskOpen
		return refused
	}); !errors.Is(err, refused) || got != nil {
		s.Errorf("got %v, %v", got, err)
	}
	t.Status, t.Result, t.CompletedAt = store.TaskDone, "it's done", now().Add(time.Hour)
	_, err = s.ChangeTask(s.ctx, t.MeshID, t.ID, func(was *store.Task) error {
		was.Status, was.Result, was.CompletedAt = t.Status, t.Result, t.CompletedAt
		return nil
	})
	s.must(err)
	got, err = s.Task(s.ctx, t.MeshID, t.ID)
	s.must(err)
	same(s, got, t)
}

func listTasks(s *suite) {
	s.mesh(0)
	var want []*store.Task
	for n := range 5 {
		t := task(n)
		if n == 4 {
			t.CreatedAt = want[0].CreatedAt
		}
		s.create(t)
		want = append([]*store.Task{t}, want...)
	}
	for limit, want := range map[int][]*store.Task{0: nil, 3: want[:3], 100: want} {
		got, err := s.ListTasks(s.ctx, id("mesh", 1), store.TaskMatch{}, limit)
		s.must(err)
		same(s, got, want)
	}
}

func listMatchingTasks(s *suite) {
	s.mesh(0)
	open, foreign, done := task(1), task(2), task(3)
	foreign.Assignee, foreign.CreatorID = "cy", id("cy", 1)
	s.create(open, foreign, done)
	s.finish(done)
	foreignOnes := []string{foreign.CreatorID, "nobody"}
	for _, tt := range []struct {
		match store.TaskMatch
		want  []*store.Task
	}{
		{store.TaskMatch{Status: store.TaskOpen}, []*store.Task{foreign, open}},
		{store.TaskMatch{Status: store.TaskDone}, []*store.Task{done}},
		{store.TaskMatch{Status: store.TaskClaimed}, nil},
		{store.TaskMatch{Status: "'"}, nil},
		{store.TaskMatch{Assignee: "bo"}, []*store.Task{done, open}},
		{store.TaskMatch{Assignee: "b%"}, nil},
		{store.TaskMatch{Status: store.TaskOpen, Assignee: "cy"}, []*store.Task{foreign}},
		{store.TaskMatch{Except: foreignOnes}, []*store.Task{done, open}},
		{store.TaskMatch{Except: append(foreignOnes, open.CreatorID)}, nil},
	} {
		got, err := s.ListTasks(s.ctx, id("mesh", 1), tt.match, 100)
		s.must(err)
		same(s, got, tt.want)
	}
	counts, err := s.CountTasks(s.ctx, id("mesh", 1))
	s.must(err)
	same(s, counts, map[store.TaskStatus]int64{store.TaskOpen: 2, store.TaskDone: 1})
}

func createTwice(s *suite) {
	s.mesh(0)
	first, again, other := task(1), task(2), task(3)
	first.Request, again.Request, other.Request = [32]byte{1}, [32]byte{1}, [32]byte{2}
	s.create(first, other, task(4), task(5)) // those without a request are two
	for _, status := range []store.TaskStatus{store.TaskOpen, store.TaskClaimed} {
		got, fresh, err := s.CreateTask(s.ctx, again, plenty())
		if err != nil || fresh || got != first.ID {
			s.Errorf("%s: got %s, fresh %v, error %v", status, got, fresh, err)
		}
		_, err = s.ChangeTask(s.ctx, first.MeshID, first.ID, func(t *store.Task) error { t.Status = store.TaskClaimed; return nil })
		s.must(err)
	}
	s.finish(first)
	s.create(again)
}

func createFull(s *suite) {
	s.mesh(0)
	room := store.Room{Mesh: 100, Member: 2}
	list := []*store.Task{task(1), task(2)}
	s.create(list...)
	_, _, err := s.CreateTask(s.ctx, task(3), room)
	s.wantErr(err, store.ErrExhausted)
	var full *store.FullError
	if !errors.As(err, &full) || !full.Member || full.Most != 2 {
		s.Errorf("got %v", err)
	}
	other := task(4)
	other.CreatorID = id("bo", 1)
	_, _, err = s.CreateTask(s.ctx, other, room)
	s.must(err)
	s.finish(list[0])
	_, _, err = s.CreateTask(s.ctx, task(3), room)
	s.must(err)
}

func createGivesWay(s *suite) {
	s.mesh(0)
	room := store.Room{Mesh: 3, Member: 100}
	list := []*store.Task{task(1), task(2), task(3)}
	s.create(list...)
	_, _, err := s.CreateTask(s.ctx, task(4), room)
	s.wantErr(err, store.ErrExhausted)
	var full *store.FullError
	if !errors.As(err, &full) || full.Member || full.Most != 3 {
		s.Errorf("got %v", err)
	}
	s.finish(list[2])
	s.finish(list[1])
	_, _, err = s.CreateTask(s.ctx, task(4), room)
	s.must(err)
	got, err := s.ListTasks(s.ctx, id("mesh", 1), store.TaskMatch{}, 100)
	s.must(err)
	same(s, got, []*store.Task{task(4), list[2], list[0]})
}

func foreignTask(s *suite) {
	s.mesh(0)
	other := &store.Mesh{ID: id("mesh", 2), Slug: "second", CreatedAt: now()}
	s.must(s.CreateMesh(s.ctx, other, nil))
	t := task(1)
	s.create(t)
	for mesh, taskID := range map[string]string{other.ID: t.ID, t.MeshID: "nothing"} {
		_, err := s.Task(s.ctx, mesh, taskID)
		s.wantErr(err, store.ErrNotFound)
		_, err = s.ChangeTask(s.ctx, mesh, taskID, func(*store.Task) error { s.Error("called"); return nil })
		s.wantErr(err, store.ErrNotFound)
	}
	got, err := s.ListTasks(s.ctx, other.ID, store.TaskMatch{}, 100)
	s.must(err)
	same(s, got, nil)
}

// claim takes a task for the n-th session.
func claimTask(n int) func(*store.Task) error {
	return func(t *store.Task) error {
		if t.Status != store.TaskOpen {
			return store.ErrConflict
		}
		t.Status, t.ClaimerID, t.ClaimerPresence, t.ClaimedAt = store.TaskClaimed, id("member", n), fmt.Sprint(n), now()
		return nil
	}
}

func claimRace(s *suite) {
	s.mesh(0)
	const all = 8
	s.create(task(1))
	var wg sync.WaitGroup
	var got [all]error
	for n := range all {
		wg.Go(func() { _, got[n] = s.ChangeTask(s.ctx, id("mesh", 1), id("task", 1), claimTask(n)) })
	}
	wg.Wait()
	s.wantOneClaim(got[:])
}

// wantOneClaim wants one of those that claimed the first task to have it.
func (s *suite) wantOneClaim(got []error) {
	s.Helper()
	t, err := s.Task(s.ctx, id("mesh", 1), id("task", 1))
	s.must(err)
	won := 0
	for n, err := range got {
		switch {
		case err == nil:
			if won++; t.ClaimerID != id("member", n) || t.ClaimerPresence != fmt.Sprint(n) {
				s.Errorf("member %d has won, and the task is %s's", n, t.ClaimerID)
			}
		case !errors.Is(err, store.ErrConflict):
			s.Error(err)
		}
	}
	if won != 1 {
		s.Errorf("%d have won", won)
	}
}

func reopenTasks(s *suite) {
	s.mesh(0)
	t := task(1)
	s.create(t)
	_, err := s.ChangeTask(s.ctx, t.MeshID, t.ID, claimTask(1))
	s.must(err)
	s.reopen()
	_, err = s.ChangeTask(s.ctx, t.MeshID, t.ID, claimTask(2))
	if !errors.Is(err, store.ErrConflict) {
		s.Errorf("got %v", err)
	}
	got, err := s.Task(s.ctx, t.MeshID, t.ID)
	s.must(err)
	same(s, got.ClaimerPresence, "1")
}

package presence

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCandidates(t *testing.T) {
	r := newRig(t, Options{Grace: time.Minute, HookFresh: window})
	names := map[*Session]string{}
	come := func(name string, a Arrival, edit func(*Arrival)) (*Session, *conn) {
		r.pass(time.Second)
		if edit != nil {
			edit(&a)
		}
		s, c := r.come(a)
		names[s] = name
		return s, c
	}
	come("old", launch("o", 1, "/src"), nil)
	come("process", launch("p", 7, "/src"), nil)
	come("launch", launch("l", 2, "/elsewhere"), nil)
	come("control", launch("l", 7, "/src"), func(a *Arrival) { a.Role = RoleControl })
	come("stranger", launch("x", 7, "/tmp"), nil)
	come("other", launch("l", 3, "/src"), func(a *Arrival) {
		other := *a.Member
		other.MeshID = "other"
		a.Member = &other
	})
	come("new", launch("n", 4, "/src"), nil)
	away, c := come("away", launch("p", 7, "/src"), func(a *Arrival) { a.Key = key("away") })
	r.Leave(away, c, false)
	come("nameless", launch("", 5, "/src"), nil)

	type row struct {
		Name  string
		Level Level
	}
	tests := []struct {
		name string
		mesh string
		hint Hint
		want []row
	}{
		{"finds launches, then processes, then directories", "", hint("l", 7, "/src", Idle), []row{
			{"other", BySession},
			{"launch", BySession}, {"process", ByProcess}, {"away", ByProcess}, {"nameless", ByDirectory}, {"new", ByDirectory}, {"old", ByDirectory},
		}},
		{"stays in one mesh", "other", hint("l", 7, "/src", Idle), []row{{"other", BySession}}},
		{"takes a hint without a name or a process by its directory", "mesh", hint("", 0, "/src", Idle), []row{
			{"nameless", ByDirectory}, {"new", ByDirectory}, {"process", ByDirectory}, {"old", ByDirectory}, {"away", ByDirectory},
		}},
		{"finds nobody in a directory that is empty", "", hint("", 7, "/src/", Idle), nil},
		{"finds nobody in a mesh that is empty", "none", hint("l", 7, "/src", Idle), nil},
	}
	for _, tt := range tests {
		t.Run("it "+tt.name, func(t *testing.T) {
			var got []row
			for _, c := range r.Candidates(tt.mesh, tt.hint) {
				got = append(got, row{names[c.Session], c.Level})
				if c.Online != (names[c.Session] != "away") {
					t.Errorf("%s: online is %v", names[c.Session], c.Online)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A hook that comes at the same moment as a hello is not lost between them.
func TestHintMeetsItsSession(t *testing.T) {
	for range 200 {
		r := newRig(t, Options{Grace: time.Minute, HookFresh: window})
		h := hint("", 7, "/src", Working)
		var s *Session
		var wg sync.WaitGroup
		wg.Go(func() {
			s = r.attach(launch("l", 7, "/src")).Session
			r.Arrived(s, "", true)
		})
		wg.Go(func() {
			r.Remember(Scope{Local: true}, "caller", h)
			for _, c := range r.Candidates("", h) {
				if c.Local {
					r.SetStatus(c.Session, h.Status, Hook)
				}
			}
		})
		wg.Wait()
		if v := r.View(s); v.Status != Working {
			t.Fatalf("got %s", v.Status)
		}
	}
}

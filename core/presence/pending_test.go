package presence

import (
	"fmt"
	"testing"
	"time"
)

// hint is what a hook says of a launch.
func hint(session string, pid int64, cwd string, status Status) Hint {
	return Hint{SessionID: session, Pid: pid, Cwd: cwd, Status: status}
}

// launch is the arrival of a client that says where it runs.
func launch(session string, pid int64, cwd string) Arrival {
	a := arrival("ada", fmt.Sprint("key", session, pid, cwd))
	a.About.SessionID, a.About.Pid, a.About.Cwd = session, pid, cwd
	return a
}

func TestPendingHint(t *testing.T) {
	const here, there = true, false
	own := Scope{MemberID: "id-ada"}
	tests := []struct {
		name  string
		scope Scope
		hint  Hint
		wait  time.Duration
		hello Arrival
		local bool
		want  Status
	}{
		{"is for the process in the directory", own, hint("", 7, "/src", Working), 0, launch("l", 7, "/src"), there, Working},
		{"is for the launch, wherever it runs", own, hint("l", 8, "/tmp", Working), 0, launch("l", 7, "/src"), there, Working},
		{"is for a launch without a process, if it names none", own, hint("", 0, "/src", Working), 0, launch("l", 0, "/src"), there, Working},
		{"is not for another process", own, hint("", 8, "/src", Working), 0, launch("l", 7, "/src"), there, Idle},
		{"is not for any process, if it names none", own, hint("", 0, "/src", Working), 0, launch("l", 7, "/src"), there, Idle},
		{"is not for another directory", own, hint("", 7, "/tmp", Working), 0, launch("l", 7, "/src"), there, Idle},
		{"is not for a launch without a name", own, hint("", 7, "/tmp", Working), 0, launch("", 7, "/src"), there, Idle},
		{"waits ten seconds", own, hint("", 7, "/src", Working), 10 * time.Second, launch("l", 7, "/src"), there, Working},
		{"waits no longer", own, hint("", 7, "/src", Working), 10*time.Second + 1, launch("l", 7, "/src"), there, Idle},
		{"is not for another member", Scope{MemberID: "id-bo"}, hint("l", 7, "/src", Working), 0, launch("l", 7, "/src"), there, Idle},
		{"is for a member of the account", Scope{Account: "a1"}, hint("l", 7, "/src", Working), 0, launch("l", 7, "/src"), there, Working},
		{"is not for a member of another account", Scope{Account: "a2"}, hint("l", 7, "/src", Working), 0, launch("l", 7, "/src"), there, Idle},
		{"is for who comes from this machine", Scope{Local: true}, hint("l", 7, "/src", Working), 0, launch("l", 7, "/src"), here, Working},
		{"is not for who comes from elsewhere", Scope{Local: true}, hint("l", 7, "/src", Working), 0, launch("l", 7, "/src"), there, Idle},
		{"is for all when it has no scope", Scope{}, hint("l", 7, "/src", Working), 0, launch("l", 7, "/src"), there, Working},
		{"may ask not to be disturbed", own, hint("", 7, "/src", DND), 0, launch("l", 7, "/src"), there, DND},
	}
	for _, tt := range tests {
		t.Run("it "+tt.name, func(t *testing.T) {
			r := newRig(t, Options{Grace: time.Minute, HookFresh: window})
			r.Remember(tt.scope, "caller", tt.hint)
			r.pass(tt.wait)
			s := r.attach(tt.hello)
			r.Arrived(s.Session, "a1", tt.local)
			if v := r.View(s.Session); v.Status != tt.want {
				t.Errorf("got %s, want %s", v.Status, tt.want)
			}
		})
	}
}

// A hint is good once, the newest of several counts, and one that was dropped
// does not.
func TestPendingHintIsSpent(t *testing.T) {
	r := newRig(t, Options{Grace: time.Minute, HookFresh: window})
	arrive := func(a Arrival) Status {
		s := r.attach(a)
		r.Arrived(s.Session, "", false)
		return r.View(s.Session).Status
	}
	r.Remember(Scope{}, "caller", hint("", 7, "/src", DND))
	r.Remember(Scope{}, "other", hint("l", 0, "/src", Idle))
	r.Remember(Scope{}, "caller", hint("", 7, "/src", Working))
	if got := arrive(launch("l", 7, "/src")); got != Working {
		t.Errorf("got %s, want the newest hint's", got)
	}
	if got := arrive(launch("m", 7, "/src")); got != Idle {
		t.Errorf("got %s from a hint that was spent", got)
	}
	r.Remember(Scope{}, "caller", hint("", 7, "/src", Working))
	r.Unremember(Scope{}, "other", hint("", 7, "/src", Working))
	r.Unremember(Scope{Local: true}, "caller", hint("", 7, "/src", Working))
	if got := arrive(launch("n", 7, "/src")); got != Working {
		t.Errorf("got %s, want the hint that nobody dropped", got)
	}
	r.Remember(Scope{}, "caller", hint("", 7, "/src", Working))
	r.Unremember(Scope{}, "caller", hint("", 7, "/src", Idle))
	if got := arrive(launch("o", 7, "/src")); got != Idle {
		t.Errorf("got %s from a hint that was dropped", got)
	}
}

// "Do not disturb" comes back with a session, and a hint does not lift it.
func TestPendingHintLeavesDoNotDisturb(t *testing.T) {
	r := newRig(t, Options{Grace: time.Minute, HookFresh: window})
	s, c := r.come(launch("l", 7, "/src"))
	r.SetStatus(s, DND, Manual)
	r.Leave(s, c, false)
	r.Remember(Scope{}, "caller", hint("l", 7, "/src", Working))
	again := r.attach(launch("l", 7, "/src"))
	r.Arrived(again.Session, "", false)
	if v := r.View(again.Session); v.Session != s || v.Status != DND || v.Source != Manual {
		t.Errorf("got %s by %s", v.Status, v.Source)
	}
}

func TestPendingHintsAreBounded(t *testing.T) {
	r := newRig(t, Options{Grace: time.Minute, HookFresh: window, MeshLimit: 10_000})
	statusOf := func(pid int64) Status {
		s := r.attach(launch("l", pid, "/src"))
		r.Arrived(s.Session, "", false)
		return r.View(s.Session).Status
	}
	r.Remember(Scope{}, "quiet", hint("", 1, "/src", Working))
	for i := range int64(2 * hintsPerCaller) {
		r.Remember(Scope{}, "loud", hint("", 100+i, "/src", Working))
	}
	if got := len(r.hints.list); got != hintsPerCaller+1 {
		t.Errorf("%d hints wait, want %d", got, hintsPerCaller+1)
	}
	if got := statusOf(100 + hintsPerCaller - 1); got != Idle {
		t.Error("the loud caller's oldest hints are still there")
	}
	if got := statusOf(100 + hintsPerCaller); got != Working {
		t.Error("the loud caller's newest hints are gone")
	}
	if got := statusOf(1); got != Working {
		t.Error("a caller has driven out another one's hint")
	}
	for i := range int64(2 * hintsMost) {
		r.Remember(Scope{}, fmt.Sprint("caller ", i), hint("", 1000+i, "/src", Working))
	}
	if got := len(r.hints.list); got != hintsMost {
		t.Errorf("%d hints wait, want %d", got, hintsMost)
	}
	if got := statusOf(1000 + 2*hintsMost - 1); got != Working {
		t.Error("the newest hint is gone")
	}
	r.pass(hintKept + 1)
	r.Remember(Scope{}, "caller", hint("", 1, "/src", Working))
	if got := len(r.hints.list); got != 1 {
		t.Errorf("%d hints are left after their time, want the new one", got)
	}
}

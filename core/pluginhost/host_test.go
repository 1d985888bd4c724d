package pluginhost_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost/hop"
	"github.com/claudemesh/broker/core/pluginhost/process/processtest"
	"github.com/claudemesh/broker/sdk"
)

func TestAStageInAProcess(t *testing.T) {
	h := newHost(t)
	l := link(t, "drill")
	l.With = map[string]any{"kinds": []any{"send"}}
	s := start(t, h, l)
	if pid := ask(t, s, message(1)); pid == "" || pid == strconv.Itoa(os.Getpid()) {
		t.Errorf("judged by process %q, want another than this", pid)
	}
	if m := s.(sdk.Selector).Match(); len(m.Kinds) != 1 || m.Kinds[0] != sdk.KindSend {
		t.Errorf("match %+v, want the kind that its options name", m)
	}
	st := status(t, h)
	if st.Name != "drills" || st.Version != "1.2.3" || st.Phase != "up" || st.Down != "" || st.Hop.Sent != 1 || st.PID == 0 {
		t.Errorf("%+v", st)
	}
	stop(t, s)
	if list := h.Status(); len(list) != 0 {
		t.Errorf("still there after the stop: %+v", list)
	}
	until(t, "the process to be gone", func() bool { return syscall.Kill(st.PID, 0) != nil })
}

// What is wrong with a link is said before anything runs on it, in one line
// that says what to do.
func TestLinksThatDoNotFit(t *testing.T) {
	h := newHost(t)
	for name, c := range map[string]struct {
		change func(*config.Link)
		want   string
	}{
		"no such stage":     {func(l *config.Link) { l.Plugin.Stage = "dril" }, "(did you mean drill?)"},
		"watches only":      {func(l *config.Link) { l.Plugin.Stage = "watcher" }, "say role: observer"},
		"does not watch":    {func(l *config.Link) { l.Plugin.Role = config.Observer }, "say role: gate"},
		"needs grants":      {func(l *config.Link) { l.Plugin.Stage = "curious" }, "grants: [identity.read, payload.hash]"},
		"grants too much":   {func(l *config.Link) { l.Plugin.Grants = []string{"identity.read", "verdict.drop"} }, "does not ask for identity.read and verdict.drop"},
		"unknown option":    {func(l *config.Link) { l.With = map[string]any{"slep": "1s"} }, "slep"},
		"wrong type":        {func(l *config.Link) { l.With = map[string]any{"kinds": 7} }, "drill: with.kinds"},
		"bad to the plugin": {func(l *config.Link) { l.With = map[string]any{"bad": "x"} }, "drill: with.bad: must be empty"},
		"wrong program":     {func(l *config.Link) { l.Plugin.SHA256 = strings.Repeat("0", 64) }, "SHA-256"},
		"no program":        {func(l *config.Link) { l.Plugin.Path = "/no/such/program" }, "/no/such/program"},
	} {
		t.Run(name, func(t *testing.T) {
			l := link(t, "drill")
			c.change(&l)
			_, err := tryStart(t, h, l)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
			if _, probed := h.Probe(t.Context(), l); probed == nil || !strings.Contains(probed.Error(), c.want) {
				t.Errorf("a probe says %v, want %q in it", probed, c.want)
			}
			if list := h.Status(); len(list) != 0 {
				t.Errorf("left behind: %+v", list)
			}
		})
	}
	l := link(t, "drill")
	l.Plugin.Stage, l.Plugin.Grants = "curious", []string{"payload.hash", "identity.read"}
	if p, err := h.Probe(t.Context(), l); err != nil || len(p.Stages) != 9 {
		t.Errorf("%+v, %v", p, err)
	}
	stop(t, start(t, h, l))
}

// What a stage wants is granted or not; its options may need it all the same.
func TestLinksOfAStageThatWants(t *testing.T) {
	h := newHost(t)
	t.Setenv("PLUGINHOSTTEST_ONE", "1")
	both := []string{actEnv, "PLUGINHOSTTEST_ONE", "PLUGINHOSTTEST_TWO"}
	for name, c := range map[string]struct {
		env, grants []string
		set, drop   bool
		want        []string // nil: it starts
	}{
		"without what it wants": {env: both, set: true, grants: []string{"payload.hash"}},
		"with all of it":        {env: both, set: true, grants: []string{"identity.read", "payload.hash", "verdict.drop"}, drop: true},
		"with options that need it": {
			env: both, set: true, grants: []string{"payload.hash"}, drop: true, want: []string{"eager: with.drop: needs verdict.drop"},
		},
		"with other grants": {
			env: both, set: true, grants: []string{"audience.read"},
			want: []string{"needs payload.hash;", "grants: [payload.hash];", "does not ask for audience.read: take it out"},
		},
		"with no variables": {
			env: both[:1], grants: []string{"payload.hash"},
			want: []string{"needs PLUGINHOSTTEST_ONE and PLUGINHOSTTEST_TWO in its environment", "env: [PLUGINHOSTTEST, PLUGINHOSTTEST_ONE, PLUGINHOSTTEST_TWO]"},
		},
		"with one that is not set": {
			env: both, grants: []string{"payload.hash"}, want: []string{"needs PLUGINHOSTTEST_TWO, and the broker's environment does not have it set"},
		},
	} {
		t.Run("it is tried "+name, func(t *testing.T) {
			l := link(t, "drill")
			l.Name, l.Plugin.Stage, l.Plugin.Env, l.Plugin.Grants = "eager", "eager", c.env, c.grants
			l.With = map[string]any{"drop": c.drop}
			if c.set {
				t.Setenv("PLUGINHOSTTEST_TWO", "2")
			}
			_, probed := h.Probe(t.Context(), l)
			s, err := tryStart(t, h, l)
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) || probed == nil || !strings.Contains(probed.Error(), want) {
					t.Errorf("a start says %v, a probe %v, want %q in both", err, probed, want)
				}
			}
			if c.want != nil {
				return
			}
			if err != nil || probed != nil {
				t.Fatalf("a start says %v, a probe %v", err, probed)
			}
			defer stop(t, s)
			want := sdk.Continue
			if c.drop {
				want = sdk.Drop
			}
			if d, err := s.Handle(t.Context(), message(1)); err != nil || d.Verdict != want {
				t.Errorf("got %+v, %v, want %v", d, err, want)
			}
		})
	}
}

// Stages of one program share a process; what differs in how it is started
// does not.
func TestProcessesAreShared(t *testing.T) {
	h := newHost(t)
	one, two, three := link(t, "drill"), link(t, "drill"), link(t, "drill")
	two.Name, two.With = "two", map[string]any{"deny": "no"}
	three.Name, three.Plugin.Args = "three", []string{"-x"}
	a, b, c := start(t, h, one), start(t, h, two), start(t, h, three)
	st := h.Status()
	if len(st) != 3 || st[0].PID == st[1].PID || st[0].PID != st[2].PID {
		t.Errorf("want drill and two in one process, and three in another: %+v", st)
	}
	ask(t, a, message(1))
	if d, err := b.Handle(t.Context(), message(1)); err != nil || d.Reason != "no" {
		t.Errorf("%+v, %v", d, err)
	}
	stop(t, a)
	if d, err := b.Handle(t.Context(), message(1)); err != nil || d.Reason != "no" {
		t.Errorf("after the first stage has gone: %+v, %v", d, err)
	}
	kill(t, st[2].PID, syscall.SIGKILL)
	if d, err := b.Handle(t.Context(), message(1)); err != nil || d.Reason != "no" {
		t.Errorf("after the process has been replaced: %+v, %v", d, err)
	}
	ask(t, c, message(1))
}

func kill(t testing.TB, pid int, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, signal); err != nil {
		t.Fatal(err)
	}
}

// The chain carries a stage over when nothing that it was made from differs.
func TestKeys(t *testing.T) {
	h := newHost(t)
	key := func(change func(*config.Link)) string {
		l := link(t, "drill")
		change(&l)
		f, err := h.Factory(l)
		if err != nil {
			t.Fatal(err)
		}
		s, err := f.New(chain.LinkSpec{})
		if err != nil {
			t.Fatal(err)
		}
		defer stop(t, s)
		return s.(chain.Keyed).Key()
	}
	same := key(func(*config.Link) {})
	if again := key(func(*config.Link) {}); again != same {
		t.Errorf("equal links have different keys:\n%s\n%s", same, again)
	}
	for name, change := range map[string]func(*config.Link){
		"options":  func(l *config.Link) { l.With = map[string]any{"deny": "x"} },
		"deadline": func(l *config.Link) { l.Deadline++ },
		"policy":   func(l *config.Link) { l.OnFailure = config.FailOpen },
		"grants":   func(l *config.Link) { l.Plugin.Grants = []string{"identity.read"} },
		"window":   func(l *config.Link) { l.Plugin.InFlight = 3 },
	} {
		if key(change) == same {
			t.Errorf("%s: the key does not say that it changed", name)
		}
	}
}

func TestSIGKILLUnderLoad(t *testing.T) {
	h := newHost(t)
	s := start(t, h, link(t, "drill"))
	l := startLoad(t, s, 64)
	for range 3 {
		st := status(t, h)
		until(t, "some load", func() bool { return status(t, h).Hop.Sent > st.Hop.Sent+500 })
		kill(t, st.PID, syscall.SIGKILL)
		until(t, "the next process", func() bool { now := status(t, h); return now.PID != 0 && now.PID != st.PID && now.Down == "" })
	}
	before, _ := l.count()
	until(t, "answers of the last process", func() bool { n, _ := l.count(); return n > before+500 })
	l.end(t)
	if st := status(t, h); st.Hop.Replayed == 0 {
		t.Errorf("nothing was in the hand of a process that was killed under load: %+v", st.Hop)
	}
}

// A stage that is not idempotent is not asked again: what its process had in
// hand fails, and nothing else does.
func TestCrashOfACarefulStage(t *testing.T) {
	h := newHost(t)
	l := link(t, "drill")
	l.Plugin.Stage = "careful"
	s := start(t, h, l)
	_, err := s.Handle(t.Context(), sized(sizeExit))
	e, ok := errors.AsType[*hop.Error](err)
	if !ok || e.Failure != hop.FailCrash {
		t.Fatalf("error %v, want a crash", err)
	}
	ask(t, s, message(1))
	st := status(t, h)
	if st.Restarts["crash"] != 1 || !strings.Contains(st.LastExit, "9") {
		t.Errorf("%+v, last exit %q: want one crash with code 9", st.Restarts, st.LastExit)
	}
}

func TestSIGSTOPIsFound(t *testing.T) {
	h := newHost(t)
	l := link(t, "drill")
	l.Plugin.HangAfter = 300 * time.Millisecond
	s := start(t, h, l)
	ask(t, s, message(1))
	old := status(t, h).PID
	kill(t, old, syscall.SIGSTOP)
	until(t, "each thread to stop", func() bool { return processtest.Stopped(old) })
	since := time.Now()
	if pid := ask(t, s, message(1)); pid == strconv.Itoa(old) {
		t.Error("judged by the process that was stopped")
	}
	if took := time.Since(since); took > l.Deadline/2 {
		t.Errorf("answered by another process after %v; a silent one is known after %v, long before the deadline", took, l.Plugin.HangAfter)
	}
	if st := status(t, h); st.Restarts["hang"] != 1 {
		t.Errorf("restarts %v, want one for a hang", st.Restarts)
	}
	until(t, "the stopped process to be gone", func() bool { return syscall.Kill(old, 0) != nil })
}

// A stage that never returns holds a process for a while, and nobody for
// longer than the deadline.
func TestStuckStage(t *testing.T) {
	h := newHost(t)
	l := link(t, "drill")
	l.Deadline, l.Plugin.HangAfter = 100*time.Millisecond, 400*time.Millisecond // a busy machine may be silent for some
	l.Plugin.Breaker.Misses = 1000
	l.Plugin.Stage = "careful"
	s := start(t, h, l)
	_, err := s.Handle(t.Context(), sized(sizeStuck))
	if e, ok := errors.AsType[*hop.Error](err); !ok || e.Failure != hop.FailDeadline {
		t.Fatalf("error %v, want a deadline", err)
	}
	until(t, "the stuck process to be replaced", func() bool { return status(t, h).Restarts["stuck"] == 1 })
	until(t, "the next one", func() bool { return status(t, h).Down == "" })
	ask(t, s, message(1))
}

func TestPanicIsOneFailure(t *testing.T) {
	h := newHost(t)
	s := start(t, h, link(t, "drill"))
	for _, size := range []int{sizePanic, sizeFail} {
		_, err := s.Handle(t.Context(), sized(size))
		e, ok := errors.AsType[*hop.Error](err)
		if !ok || e.Failure != hop.FailStage || !strings.Contains(err.Error(), "drilled") {
			t.Errorf("error %v, want the stage's own", err)
		}
	}
	ask(t, s, message(1))
	if st := status(t, h); len(st.Restarts) != 0 {
		t.Errorf("restarts %v, want none", st.Restarts)
	}
}

// Whatever a plugin answers that is against the protocol, the envelope fails;
// and one that does nothing else is given up.
func TestLiars(t *testing.T) {
	for _, lie := range []string{"count", "seq", "unset", "oversize", "twice"} {
		t.Run(lie, func(t *testing.T) {
			h := newHost(t)
			l := link(t, lie)
			l.Deadline, l.Plugin.HoldMax = time.Second, 2*time.Second
			l.Plugin.Restart.Crashes = 3
			l.Plugin.Breaker.Misses, l.Plugin.Breaker.Batches = 1000, 1000
			s := start(t, h, l)
			until(t, "the quarantine", func() bool {
				d, err := s.Handle(t.Context(), message(1))
				if lie != "twice" && err == nil {
					t.Fatalf("%+v: a lie became a decision", d)
				}
				return status(t, h).Phase == "quarantined"
			})
			st := status(t, h)
			if st.Restarts["protocol"] == 0 || st.Down == "" {
				t.Errorf("restarts %v, down %q: want them counted as breaches", st.Restarts, st.Down)
			}
			begun := time.Now()
			if _, err := s.Handle(t.Context(), message(1)); err == nil || time.Since(begun) > time.Second {
				t.Errorf("a quarantined plugin: %v after %v, want a failure at once", err, time.Since(begun))
			}
			if err := h.Resume("drill"); err != nil {
				t.Fatal(err)
			}
			until(t, "the next try", func() bool { return status(t, h).Phase != "quarantined" })
		})
	}
	t.Run("a right that was not granted", func(t *testing.T) {
		s := start(t, newHost(t), link(t, "drop"))
		_, err := s.Handle(t.Context(), message(1))
		if e, ok := errors.AsType[*hop.Error](err); !ok || e.Failure != hop.FailRight {
			t.Errorf("error %v, want a right", err)
		}
	})
}

// A plugin that is not required may be away when the broker starts, and comes
// when it can; one that can never serve the link is refused all the same.
func TestOptionalPluginComesLater(t *testing.T) {
	h := newHost(t)
	l := link(t, "drill")
	l.Required = false
	l.Plugin.Stage = "other"
	if _, err := tryStart(t, h, l); err == nil {
		t.Error("a stage that the program does not have was started")
	}

	late := filepath.Join(t.TempDir(), "late")
	if err := os.WriteFile(late, []byte("#!/bin/sh\ntest -e "+late+".now && exec "+l.Plugin.Path+"\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	l.Plugin.Stage, l.Plugin.Path = "", late
	s := start(t, h, l)
	if st := status(t, h); st.Down == "" {
		t.Errorf("%+v: want it down", st)
	}
	if err := os.WriteFile(late+".now", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "the plugin to come", func() bool { return status(t, h).Down == "" })
	ask(t, s, message(1))
}

func TestObserver(t *testing.T) {
	h := newHost(t)
	l := link(t, "drill")
	l.Plugin.Stage, l.Plugin.Role = "watcher", config.Observer
	s := start(t, h, l)
	for range 100 {
		s.(sdk.Observer).Done(message(1), sdk.Outcome{Decision: sdk.Next()})
	}
	stop(t, s)
}

func TestResumeSaysWhatIsThere(t *testing.T) {
	h := newHost(t)
	start(t, h, link(t, "drill"))
	for name, want := range map[string]string{"drill": "is up, not quarantined", "other": "no link"} {
		if err := h.Resume(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("resume of %s: %v, want %q", name, err, want)
		}
	}
}

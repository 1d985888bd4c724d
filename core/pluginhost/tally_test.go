package pluginhost_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/core/pluginhost/hop"
)

// countsOf returns what was counted for a link, and holds it to what was before:
// nothing may fall.
func countsOf(t *testing.T, h *pluginhost.Host, link string, before pluginhost.Counts) pluginhost.Counts {
	t.Helper()
	for _, c := range h.Counts() {
		if c.Link != link {
			continue
		}
		for reason, n := range before.Restarts {
			if c.Restarts[reason] < n {
				t.Errorf("%d restarts by %s, after %d", c.Restarts[reason], reason, n)
			}
		}
		was, is := before.Hop, c.Hop
		if c.CPU < before.CPU || is.Sent < was.Sent || is.Batches < was.Batches || is.Queued < was.Queued || is.Answered < was.Answered ||
			is.Crossing < was.Crossing || is.Late < was.Late || is.Failures["deadline"] < was.Failures["deadline"] {
			t.Errorf("it was\n%+v\nand is\n%+v", before, c)
		}
		return c
	}
	if before.Link != "" {
		t.Errorf("nothing is known any more of %+v", before)
	}
	return pluginhost.Counts{}
}

// TestCountsOutliveReloads does what reloads do: it puts a changed link in the
// place of one whose process has ended, takes it out, and brings it back.
func TestCountsOutliveReloads(t *testing.T) {
	h := newHost(t)
	old := link(t, "drill")
	a := start(t, h, old)
	ask(t, a, message(1))
	pid := status(t, h).PID
	kill(t, pid, syscall.SIGKILL)
	until(t, "the next process", func() bool { st := status(t, h); return st.PID != 0 && st.PID != pid && st.Down == "" })
	ask(t, a, message(1))
	was := countsOf(t, h, "drill", pluginhost.Counts{})
	if was.Hop.Sent != 2 || was.Restarts["crash"] != 1 {
		t.Fatalf("want two envelopes and a crash: %+v", was)
	}

	options, program := old, old
	p := *old.Plugin
	options.With, program.Plugin, p.Args = map[string]any{"deny": "no"}, &p, []string{"-x"}
	for name, next := range map[string]config.Link{"other options": options, "another program": program} {
		b := start(t, h, next)
		was = countsOf(t, h, "drill", was)
		if _, err := b.Handle(t.Context(), message(1)); err != nil {
			t.Fatal(err)
		}
		was = countsOf(t, h, "drill", was)
		stop(t, a)
		was = countsOf(t, h, "drill", was)
		if st := status(t, h); st.Restarts["crash"] != 1 || len(st.Ends) != 1 || st.Ends[0].Reason != "crash" || st.Hop.Sent != was.Hop.Sent {
			t.Errorf("%s: the status is %+v, want the crash and all envelopes", name, st)
		}
		a = b
	}
	stop(t, a)
	if was = countsOf(t, h, "drill", was); was.Hop.Sent != 4 || was.Restarts["crash"] != 1 {
		t.Errorf("of a link that is gone, got %+v; want four envelopes and a crash", was)
	}
	c := start(t, h, old)
	ask(t, c, message(1))
	if was = countsOf(t, h, "drill", was); was.Hop.Sent != 5 {
		t.Errorf("of a link that is back, got %+v; want five envelopes", was)
	}
}

// TestCountsOfASharedProcess has a link join a process that has ended before, and
// leave it: it has the ends that it saw.
func TestCountsOfASharedProcess(t *testing.T) {
	h := newHost(t)
	one, two := link(t, "drill"), link(t, "drill")
	two.Name = "two"
	start(t, h, one)
	crash := func() {
		pid := of(t, h, "drill").PID
		kill(t, pid, syscall.SIGKILL)
		until(t, "the next process", func() bool {
			for _, st := range h.Status() {
				if st.PID == 0 || st.PID == pid || st.Down != "" {
					return false
				}
			}
			return true
		})
	}
	crash()
	b := start(t, h, two)
	crash()
	stop(t, b)
	crash()
	if n, m := countsOf(t, h, "drill", pluginhost.Counts{}).Restarts["crash"], countsOf(t, h, "two", pluginhost.Counts{}).Restarts["crash"]; n != 3 || m != 1 {
		t.Errorf("%d and %d crashes, want 3 and 1", n, m)
	}
	if ends := of(t, h, "drill").Ends; len(ends) != 3 || !ends[0].At.After(ends[2].At) {
		t.Errorf("the ends are %+v, want three, the newest first", ends)
	}
}

// TestALinkThatWasRefusedIsNotCounted starts a link that does not fit.
func TestALinkThatWasRefusedIsNotCounted(t *testing.T) {
	h := newHost(t)
	l := link(t, "drill")
	l.Plugin.Stage = "nosuch"
	if _, err := tryStart(t, h, l); err == nil {
		t.Fatal("it was started")
	}
	if list := h.Counts(); len(list) != 0 {
		t.Errorf("got %+v, want nothing", list)
	}
}

// TestFailuresOutliveReloads has envelopes fail on both sides of a change.
func TestFailuresOutliveReloads(t *testing.T) {
	h := newHost(t)
	l := link(t, "drill")
	l.Plugin.Stage = "careful"
	fail := func() {
		s := start(t, h, l)
		_, err := s.Handle(t.Context(), sized(sizeExit))
		if e, ok := errors.AsType[*hop.Error](err); !ok || e.Failure != hop.FailCrash {
			t.Fatalf("error %v, want a crash", err)
		}
		until(t, "the next process", func() bool { st := status(t, h); return st.LastExit != "" && st.PID != 0 && st.Down == "" })
		stop(t, s)
	}
	fail()
	l.Deadline++
	fail()
	if c := countsOf(t, h, "drill", pluginhost.Counts{}); c.Hop.Failures["crash"] != 2 {
		t.Errorf("failures %v, want both crashes", c.Hop.Failures)
	}
}

package app

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/console"
	"github.com/claudemesh/broker/core/pluginhost"
)

// ended is a status of a link whose process has ended so often.
func ended(at time.Time, text string, restarts map[string]uint64) pluginhost.Status {
	return pluginhost.Status{Link: "guard", LastExit: text, ExitedAt: at, Stderr: text + " stderr", Restarts: restarts}
}

// statuses are what a host answers.
func statuses(list ...pluginhost.Status) func() []pluginhost.Status {
	return func() []pluginhost.Status { return list }
}

func TestPluginEnds(t *testing.T) {
	at := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	one := at.Add(time.Minute)
	type look = []pluginhost.Status
	first := console.End{At: at, Reason: "crash", Text: "exit 1", Stderr: "exit 1 stderr"}
	second := console.End{At: one, Reason: "hang", Text: "killed", Stderr: "killed stderr"}
	for _, tt := range []struct {
		name  string
		looks []look
		want  []console.End
	}{
		{"one that never ended has none", []look{{ended(time.Time{}, "", nil)}}, nil},
		{"each end is noted once, the newest first", []look{
			{ended(time.Time{}, "", map[string]uint64{})},
			{ended(at, "exit 1", map[string]uint64{"crash": 1})},
			{ended(at, "exit 1", map[string]uint64{"crash": 1})},
			{ended(one, "killed", map[string]uint64{"crash": 1, "hang": 1})},
			{ended(one, "killed", map[string]uint64{"crash": 1, "hang": 1})},
		}, []console.End{second, first}},
		{"of two between looks one has no text", []look{
			{ended(at, "exit 1", map[string]uint64{"crash": 1})},
			{ended(one, "killed", map[string]uint64{"crash": 1, "hang": 2})},
		}, []console.End{{At: one, Reason: "hang"}, second, first}},
		{"a supervisor that begins anew adds to what was", []look{
			{ended(at, "exit 1", map[string]uint64{"crash": 1})},
			{ended(time.Time{}, "", map[string]uint64{})},
			{ended(one, "killed", map[string]uint64{"hang": 1})},
		}, []console.End{second, first}},
		{"a link that was taken out is forgotten", []look{
			{ended(at, "exit 1", map[string]uint64{"crash": 1})}, {},
			{ended(time.Time{}, "", nil)},
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var e pluginEnds
			for _, l := range tt.looks {
				e.look(statuses(l...))
			}
			if diff := cmp.Diff(tt.want, e.of("guard")); diff != "" {
				t.Errorf("got (+), want (-):\n%s", diff)
			}
		})
	}
}

// The page and the watch look at once: whoever is held up between asking and
// noting must not bring back what has been counted since.
func TestPluginEndsAreNotedInOrder(t *testing.T) {
	var e pluginEnds
	counted := func(n uint64) func() []pluginhost.Status {
		return statuses(ended(time.Unix(int64(n), 0), "exit 1", map[string]uint64{"crash": n})) //nolint:gosec // small
	}
	e.look(counted(7))
	before := len(e.of("guard"))
	asked, second := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(second)
		<-asked
		e.look(counted(8))
	}()
	e.look(func() []pluginhost.Status {
		close(asked)
		select {
		case <-second: // the other one was let past
		case <-time.After(50 * time.Millisecond):
		}
		return counted(7)()
	})
	<-second
	e.look(counted(8))
	if n := len(e.of("guard")) - before; n != 1 {
		t.Errorf("one end is noted %d times", n)
	}
}

func TestPluginEndsAreBounded(t *testing.T) {
	var e pluginEnds
	for n := uint64(1); n < 100; n += 7 {
		e.look(statuses(ended(time.Unix(int64(n), 0), strings.Repeat("line\n", 10_000), map[string]uint64{"crash": n})))
	}
	list := e.of("guard")
	if len(list) != pluginEndsKept || !list[0].At.Equal(time.Unix(99, 0)) {
		t.Errorf("got %d, the newest at %v", len(list), list[0].At)
	}
	for _, end := range list {
		if n := len(end.Stderr); n > stderrKept || n > 0 && !strings.HasPrefix(end.Stderr, "line\n") {
			t.Errorf("got %d bytes, %.10q", n, end.Stderr)
		}
	}
}

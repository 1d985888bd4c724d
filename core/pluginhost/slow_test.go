package pluginhost_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/stages/ratelimit"
)

const (
	slowDeadline = 20 * time.Millisecond
	slowSleep    = 10 * slowDeadline
)

// TestSlowPluginDisturbsNobody has callers ask a plugin that is ten times slower
// than its deadline, while others ask a stage that is built in, and a plugin that
// is well. Slices of time with the slow one and without it take turns. The
// machine may be busy with other things, in one slice and not in the next: a
// round in which both are well is enough.
func TestSlowPluginDisturbsNobody(t *testing.T) {
	const rounds, worst = 8, 1.2
	h := newHost(t)
	slow := start(t, h, slowLink(t, "slow", slowSleep))
	healthy := start(t, h, slowLink(t, "healthy", 0))
	for round := range rounds {
		builtIn, plugged := slowRound(t, slow, healthy)
		t.Logf("round %d: with the slow plugin the p99 of a built-in stage is %.2f of what it is without, of a plugin %.2f", round, builtIn, plugged)
		if builtIn <= worst && plugged <= worst {
			wantBroken(t, h.Status())
			return
		}
	}
	t.Errorf("in none of %d rounds both are within %.1f of what they are without the slow plugin", rounds, worst)
}

// slowLink is a link with a process of its own.
func slowLink(t *testing.T, name string, sleep time.Duration) config.Link {
	t.Helper()
	l := link(t, "drill")
	l.Name, l.Plugin.Args = name, []string{name}
	l.With = map[string]any{"sleep": sleep.String()}
	l.Deadline = slowDeadline
	if sleep == 0 {
		l.Deadline = 5 * time.Second // a busy machine must not open this one's breaker
	}
	return l
}

// wantBroken wants the breaker to have spared the slow plugin most of what was
// asked, and the other one everything to have been answered.
func wantBroken(t *testing.T, list []pluginhost.Status) {
	t.Helper()
	for _, s := range list {
		f := s.Hop.Failures
		switch {
		case s.Link == "healthy" && (len(f) > 0 || len(s.Restarts) > 0):
			t.Errorf("healthy: failures %v, restarts %v; want none", f, s.Restarts)
		case s.Link == "slow" && (f["deadline"] == 0 || f["breaker"] < 10*f["deadline"] || len(s.Restarts) > 0):
			t.Errorf("slow: failures %v, restarts %v; want some deadlines, far more by the breaker, and no restart", f, s.Restarts)
		case s.Link == "slow":
			t.Logf("slow: failures %v", f)
		}
	}
}

// slowRound returns the medians of what the p99 of a built-in stage and that of
// a plugin become when the slow one is asked at the same time, as parts of what
// they are without.
func slowRound(t *testing.T, slow, healthy sdk.Stage) (builtIn, plugged float64) {
	t.Helper()
	const pairs = 5
	stage := ratelimit.New(ratelimit.DefaultOptions(), time.Now)
	var ofBuiltIn, ofPlugged []float64
	for range pairs {
		alone, beside := slowSlice(nil, stage, healthy), slowSlice(slow, stage, healthy)
		ofBuiltIn = append(ofBuiltIn, float64(beside[0])/float64(alone[0]))
		ofPlugged = append(ofPlugged, float64(beside[1])/float64(alone[1]))
	}
	return median(ofBuiltIn), median(ofPlugged)
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// slowSlice has callers ask each stage for a while, at a pace, and returns the
// p99 of the stages.
func slowSlice(slow sdk.Stage, stages ...sdk.Stage) []time.Duration {
	const callers, slice = 4, 250 * time.Millisecond
	end := time.Now().Add(slice)
	var wg sync.WaitGroup
	if slow != nil {
		for c := range callers {
			wg.Go(func() { askUntil(end, slow, uint64(c)) })
		}
	}
	took := make([][]time.Duration, callers*len(stages))
	for i := range took {
		wg.Go(func() { took[i] = askUntil(end, stages[i/callers], uint64(i)) })
	}
	wg.Wait()
	var p99 []time.Duration
	for i := range stages {
		all := slices.Concat(took[i*callers : (i+1)*callers]...)
		slices.Sort(all)
		p99 = append(p99, all[len(all)*99/100])
	}
	return p99
}

// askUntil is a caller: it asks, whatever the answer, and pauses.
func askUntil(end time.Time, s sdk.Stage, conn uint64) (took []time.Duration) {
	for time.Now().Before(end) {
		since := time.Now()
		_, _ = s.Handle(context.Background(), message(conn))
		took = append(took, time.Since(since))
		time.Sleep(time.Millisecond)
	}
	return took
}

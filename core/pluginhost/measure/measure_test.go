package measure_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/claudemesh/broker/core/pluginhost/measure"
	"github.com/claudemesh/broker/sdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func envelope(int) *sdk.Envelope {
	return &sdk.Envelope{Kind: sdk.KindSend, Priority: sdk.PriorityNext}
}

// marks notes on each envelope, and counts those that come noted.
type marks struct{ dirty atomic.Int64 }

func (m *marks) ask(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	if len(env.Attributes) > 0 || env.Priority != sdk.PriorityNext {
		m.dirty.Add(1)
	}
	env.Note("seen", "yes")
	env.Priority = sdk.PriorityLow
	return sdk.Next(), nil
}

func (m *marks) submit(env *sdk.Envelope, done func(sdk.Decision, error)) bool {
	go func() { done(m.ask(context.Background(), env)) }()
	return true
}

func loads() []measure.Load {
	return []measure.Load{
		{Name: "one", Callers: 1, Lasts: 20 * time.Millisecond},
		{Name: "many", Callers: 8, Lasts: 20 * time.Millisecond},
		{Name: "window", Window: 16, Lasts: 20 * time.Millisecond},
	}
}

func TestCompare(t *testing.T) {
	m := &marks{}
	fails := func(context.Context, *sdk.Envelope) (sdk.Decision, error) { return sdk.Decision{}, errors.New("no") }
	rounds := 0
	got, err := measure.Compare(t.Context(), measure.Series{
		Targets: []measure.Target{
			{Name: "marks", Ask: m.ask, Submit: m.submit},
			{Name: "fails", Ask: fails, Submit: func(env *sdk.Envelope, done func(sdk.Decision, error)) bool {
				go func() { done(fails(context.Background(), env)) }()
				return true
			}},
		},
		Loads: loads(), Rounds: 3, Env: envelope,
	}, func(round int) { rounds = round })
	if err != nil || len(got) != 6 || rounds != 3 {
		t.Fatalf("%d results after %d rounds, %v", len(got), rounds, err)
	}
	for i, r := range got {
		wantTarget, wantLoad := []string{"marks", "fails"}[i%2], []string{"one", "many", "window"}[i/2]
		if r.Target != wantTarget || r.Load != wantLoad {
			t.Errorf("result %d is of %s, %s; want %s, %s", i, r.Target, r.Load, wantTarget, wantLoad)
		}
		if r.Envelopes == 0 || r.PerSecond <= 0 {
			t.Errorf("nothing was measured: %+v", r)
		}
		if failed := r.Target == "fails"; failed != (r.Failed == r.Envelopes) || !failed && r.Failed > 0 {
			t.Errorf("%d of %d failed: %+v", r.Failed, r.Envelopes, r)
		}
		if timed := r.Load != "window"; timed != (r.P99 > 0) || r.P50 > r.P99 {
			t.Errorf("p50 %v, p99 %v: %+v", r.P50, r.P99, r)
		}
	}
	if n := m.dirty.Load(); n > 0 {
		t.Errorf("%d envelopes came with what the stage had done to them before", n)
	}
}

func TestACancelledComparisonEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := &marks{}
	_, err := measure.Compare(ctx, measure.Series{
		Targets: []measure.Target{{Name: "marks", Ask: m.ask}}, Loads: loads(), Rounds: 1, Env: envelope,
	}, func(int) {})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestATargetThatOnlyWaits(t *testing.T) {
	m := &marks{}
	if _, err := measure.Run(t.Context(), measure.Target{Ask: m.ask}, loads()[2], envelope); err == nil {
		t.Error("a window was kept full without Submit")
	}
}

package chain_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/sdk"
)

// far is a stage that judges elsewhere.
type far struct {
	fake
	refuses bool // Send fails
	lost    bool // Wait fails
}

func (f *far) Send(context.Context, *sdk.Envelope) (chain.Ticket, error) {
	if f.refuses {
		return nil, errBroken
	}
	return &ticket{f}, nil
}

func (f *far) Handle(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	if f.refuses || f.lost {
		return sdk.Decision{}, errBroken
	}
	return f.fake.Handle(ctx, env)
}

type ticket struct{ far *far }

func (t *ticket) Wait(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	return t.far.Handle(ctx, env)
}

// A walk in pieces ends as a run in one does, and counts the same, whatever the
// chain is made of.
func TestWalkEndsAsRunDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var links []chain.LinkSpec
		for i := range rapid.IntRange(1, 6).Draw(t, "links") {
			links = append(links, drawLink(t, fmt.Sprintf("s%d", i)))
		}
		build := func() *chain.Chain {
			c, err := chain.Build(chain.Spec{Links: links, Insecure: true, Timing: 1, Log: slog.New(slog.DiscardHandler)}, nil)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		run, walk := build(), build()
		env := &sdk.Envelope{Kind: sdk.KindSend, Size: rapid.IntRange(0, 1).Draw(t, "size") * 100}
		other := &sdk.Envelope{Kind: env.Kind, Size: env.Size}
		want, by := run.Run(t.Context(), env)

		var w chain.Walk
		ended := walk.Begin(t.Context(), other, &w, rapid.Bool().Draw(t, "halt"))
		for !ended {
			ended = w.Resume(t.Context(), other)
		}
		got, link := w.Decision()
		if diff := cmp.Diff(want, got); diff != "" || by.Name() != link.Name() {
			t.Fatalf("run ends at %s, walk at %s: %s", by.Name(), link.Name(), diff)
		}
		if diff := cmp.Diff(env.Attributes, other.Attributes); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(counts(run), counts(walk)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// drawLink draws a link: remote or not, with a filter or none, and with any
// verdict or failure.
func drawLink(t *rapid.T, name string) chain.LinkSpec {
	d := rapid.SampledFrom([]sdk.Decision{
		sdk.Next(), sdk.Next(), sdk.Next(), sdk.Refuse("no", ""), {Verdict: sdk.Drop}, {Verdict: sdk.Answer}, {},
	}).Draw(t, name+" decides")
	policy := rapid.SampledFrom([]chain.Policy{chain.FailClosed, chain.FailOpen}).Draw(t, name+" on failure")
	var stage sdk.Stage = always(d)
	if rapid.Bool().Draw(t, name+" is remote") {
		stage = &far{fake: *always(d), refuses: rapid.Bool().Draw(t, name+" refuses"), lost: rapid.Bool().Draw(t, name+" is lost")}
		if rapid.Bool().Draw(t, name+" filters") {
			stage = &picky{stage.(*far)}
		}
	}
	ls := link(name, stage)
	ls.OnFailure = policy
	return ls
}

// picky is a remote stage that wants large envelopes alone.
type picky struct{ *far }

func (picky) Match() sdk.Match { return sdk.Match{MinSize: 50} }

// counts are a chain's counters without the times.
func counts(c *chain.Chain) chain.Stats {
	stats := c.Stats()
	for i := range stats {
		stats[i].Timing = chain.Timing{Count: stats[i].Timing.Count}
	}
	return stats
}

// With halt, a walk stops at the first remote stage of its path, whether it is
// sent there or goes by.
func TestWalkHalts(t *testing.T) {
	for name, size := range map[string]int{"sent": 100, "goes by": 1} {
		t.Run(name, func(t *testing.T) {
			passed := false
			c := mustBuild(t, link("far", &picky{&far{}}), link("after", &fake{
				HandleFn: func(context.Context, *sdk.Envelope) (sdk.Decision, error) { passed = true; return sdk.Next(), nil },
			}))
			if !c.Remote(sdk.KindSend) {
				t.Error("the path has no remote stage")
			}
			env := &sdk.Envelope{Kind: sdk.KindSend, Size: size}
			var w chain.Walk
			if c.Begin(t.Context(), env, &w, true) || passed {
				t.Fatalf("the walk went on; passed: %v", passed)
			}
			if !w.Resume(t.Context(), env) || !passed {
				t.Error("the walk did not end")
			}
		})
	}
}

// A link that only observes is not sent to, whatever its stage could do.
func TestWalkAsksNoObserver(t *testing.T) {
	ls := link("far", &far{fake: *always(sdk.Refuse("no", ""))})
	ls.Use.Role = chain.RoleObserver
	c := mustBuild(t, ls)
	if c.Remote(sdk.KindSend) {
		t.Error("the path has a remote stage")
	}
}

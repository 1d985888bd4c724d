package chain_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/sdk"
)

// broken is a link whose stage always fails.
func broken(policy, then chain.Policy) chain.LinkSpec {
	f := factory(chain.RoleGate, &fake{HandleFn: func(context.Context, *sdk.Envelope) (sdk.Decision, error) {
		return sdk.Decision{}, errBroken
	}})
	f.Policies = []chain.Policy{chain.Hold, chain.FailClosed, chain.FailOpen, chain.Fallback}
	return chain.LinkSpec{Stage: "weak", Enabled: true, Use: f, OnFailure: policy, Then: then}
}

// fallsBack is a broken link that falls back on the stage "spare".
func fallsBack() chain.LinkSpec {
	ls := broken(chain.Fallback, "")
	ls.Fallback = &chain.LinkSpec{Stage: "spare"}
	return ls
}

// spare are factories with the one stage "spare".
func spare(s sdk.Stage) chain.Factories { return chain.Factories{"spare": *factory(chain.RoleGate, s)} }

func mustBuildWith(t *testing.T, factories chain.Factories, previous *chain.Chain, links ...chain.LinkSpec) *chain.Chain {
	t.Helper()
	c, err := chain.Build(chain.Spec{
		Links: links, Insecure: true, Previous: previous, Timing: -1, Log: slog.New(slog.DiscardHandler),
	}, factories)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPolicies(t *testing.T) {
	deny := sdk.Refuse("spare_says_no", "")
	const closed, opened = sdk.ReasonStageFailed, sdk.Reason("")
	atOnce := func(p chain.Policy) chain.PolicyStat { return chain.PolicyStat{Policy: p, Count: 1} }
	held := func(p chain.Policy) chain.PolicyStat { return chain.PolicyStat{Policy: p, Held: true, Count: 1} }
	tests := []struct {
		name         string
		policy, then chain.Policy
		spare        *fake
		want         sdk.Reason
		degraded     bool
		counted      *chain.FallbackStat
		applied      chain.PolicyStat
	}{
		{"hold ends in a refusal", chain.Hold, "", nil, closed, false, nil, held(chain.FailClosed)},
		{"hold is what the factory lists first", "", chain.FailOpen, nil, opened, true, nil, held(chain.FailOpen)},
		{"hold may end in fail_closed", chain.Hold, chain.FailClosed, nil, closed, false, nil, held(chain.FailClosed)},
		{"hold may end in a fallback", chain.Hold, chain.Fallback, always(deny), "spare_says_no", false, &chain.FallbackStat{Decided: 1}, held(chain.Fallback)},
		{"fail_open marks the envelope", chain.FailOpen, "", nil, opened, true, nil, atOnce(chain.FailOpen)},
		{"a fallback may refuse", chain.Fallback, "", always(deny), "spare_says_no", false, &chain.FallbackStat{Decided: 1}, atOnce(chain.Fallback)},
		{"a fallback may let pass", chain.Fallback, "", new(fake), opened, false, &chain.FallbackStat{Decided: 1}, atOnce(chain.Fallback)},
		{
			"a fallback that does not want the kind lets it pass, marked", chain.Fallback, "",
			&fake{Wants: []sdk.Kind{"hello"}}, opened, true, nil, atOnce(chain.Fallback),
		},
		{
			"a fallback that fails too ends in a refusal", chain.Fallback, "",
			&fake{HandleFn: func(context.Context, *sdk.Envelope) (sdk.Decision, error) { panic("me too") }},
			closed, false, &chain.FallbackStat{Failed: 1}, atOnce(chain.Fallback),
		},
		{"a fallback that decides nothing has failed", chain.Fallback, "", always(sdk.Decision{}), closed, false, &chain.FallbackStat{Failed: 1}, atOnce(chain.Fallback)},
	}
	for _, tt := range tests {
		t.Run("it knows that "+tt.name, func(t *testing.T) {
			ls, factories := broken(tt.policy, tt.then), chain.Factories(nil)
			if tt.spare != nil {
				ls.Fallback, factories = &chain.LinkSpec{Stage: "spare"}, spare(tt.spare)
			}
			c := mustBuildWith(t, factories, nil, ls, link("route", answering()))
			env := &sdk.Envelope{Kind: sdk.KindSend}
			d, _ := c.Run(t.Context(), env)
			if d.Reason != tt.want || (d.Verdict == sdk.Answer) != (tt.want == opened) {
				t.Errorf("got %+v, want reason %q", d, tt.want)
			}
			if want := []sdk.Attribute{{Key: "degraded", Value: "weak"}}; tt.degraded != cmp.Equal(want, env.Attributes) {
				t.Errorf("attributes %v, want marked: %v", env.Attributes, tt.degraded)
			}
			s := c.Stats()
			if diff := cmp.Diff(tt.counted, s[0].Fallback); diff != "" {
				t.Errorf("fallback counted (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]chain.PolicyStat{tt.applied}, s[0].Policies); diff != "" {
				t.Errorf("policy counted (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]chain.PolicyStat{{Policy: chain.FailClosed}}, s[1].Policies); diff != "" {
				t.Errorf("policy of a stage that did not fail (-want +got):\n%s", diff)
			}
			if n := s[0].Total(sdk.Continue) + s[0].Total(sdk.Deny); n != 1 || s[0].Failed() != 1 || len(s) != 2 {
				t.Errorf("got %d decisions, %d failures on %d links; want 1, 1, 2", n, s[0].Failed(), len(s))
			}
		})
	}
}

func TestFallbackOfACallerThatWentAway(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := mustBuildWith(t, spare(&fake{HandleFn: func(ctx context.Context, _ *sdk.Envelope) (sdk.Decision, error) {
		cancel()
		return sdk.Decision{}, ctx.Err()
	}}), nil, fallsBack())
	if d, _ := c.Run(ctx, new(sdk.Envelope)); d.Reason != sdk.ReasonUnavailable || c.Stats()[0].Fallback != nil {
		t.Errorf("got %+v, and %+v counted", d, c.Stats()[0].Fallback)
	}
}

func TestFallbackLog(t *testing.T) {
	var log bytes.Buffer
	c, err := chain.Build(chain.Spec{Links: []chain.LinkSpec{fallsBack()}, Insecure: true, Log: logInto(&log)},
		spare(always(sdk.Decision{})))
	if err != nil {
		t.Fatal(err)
	}
	c.Run(t.Context(), new(sdk.Envelope))
	for _, want := range []string{`msg="stage failed" link=weak`, "on_failure=fallback", `msg="fallback of weak failed" link=spare`, "failure=undecided"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log.String())
		}
	}
}

func TestFallbackLifeAndCarryOver(t *testing.T) {
	var out lines
	build := func(previous *chain.Chain, key, spareKey string) *chain.Chain {
		t.Helper()
		weak, second := loggedStage(&out, "weak", nil), loggedStage(&out, "spare", nil)
		weak.WithKey, second.WithKey = key, spareKey
		ls := link("weak", weak)
		ls.OnFailure, ls.Fallback = chain.Fallback, &chain.LinkSpec{Stage: "spare"}
		return mustBuildWith(t, spare(second), previous, ls)
	}
	want := func(step string, lines ...string) {
		t.Helper()
		if diff := cmp.Diff(lines, out.get()); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", step, diff)
		}
		out.list = nil
	}
	h := chain.NewHolder()
	swap := func(c *chain.Chain) {
		t.Helper()
		if err := h.Swap(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	first := build(nil, "1", "1")
	swap(first)
	want("the fallback starts before its link", "start spare", "start weak")
	second := build(first, "2", "1")
	want("an unchanged fallback is carried over by itself", "stop spare")
	swap(second)
	want("the link's stage is replaced", "start weak", "stop weak")
	third := build(second, "2", "2")
	want("an unchanged stage is carried over by itself", "stop weak")
	swap(third)
	want("its fallback is replaced", "start spare", "stop spare")
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	want("the fallback stops after its link", "stop weak", "stop spare")
}

func TestFallbackThatDoesNotStart(t *testing.T) {
	var out lines
	ls := logged(&out, "weak", nil)
	ls.OnFailure, ls.Fallback = chain.Fallback, &chain.LinkSpec{Stage: "spare"}
	c := mustBuildWith(t, spare(loggedStage(&out, "spare", errBroken)), nil, ls)
	if err := c.Start(t.Context()); err == nil || err.Error() != "start of stage spare: broken on purpose" {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff([]string{"start spare", "stop weak", "stop spare"}, out.get()); diff != "" {
		t.Errorf("life (-want +got):\n%s", diff)
	}
}

// A counter of a policy goes on over a reload that changes it, and a caller who
// went away is no failure that a policy decided about.
func TestPoliciesAreCountedOverReloads(t *testing.T) {
	h := chain.NewHolder()
	swap := func(c *chain.Chain) *chain.Chain {
		t.Helper()
		if err := h.Swap(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := swap(mustBuildWith(t, nil, nil, broken(chain.FailOpen, "")))
	first.Run(t.Context(), new(sdk.Envelope))
	second := swap(mustBuildWith(t, nil, first, broken(chain.Hold, chain.FailClosed)))
	second.Run(t.Context(), new(sdk.Envelope))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	second.Run(gone, new(sdk.Envelope))
	want := []chain.PolicyStat{{Policy: chain.FailOpen, Count: 1}, {Policy: chain.FailClosed, Held: true, Count: 1}}
	if diff := cmp.Diff(want, second.Stats()[0].Policies); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A link whose fallback is refused leaves nothing open.
func TestBuildStopsTheStageOfARefusedFallback(t *testing.T) {
	var out lines
	ls := logged(&out, "weak", nil)
	ls.OnFailure, ls.Fallback = chain.Fallback, &chain.LinkSpec{Stage: "picky"}
	if _, err := chain.Build(chain.Spec{Links: []chain.LinkSpec{ls}, Insecure: true}, builtin); err == nil {
		t.Fatal("built")
	}
	if diff := cmp.Diff([]string{"stop weak"}, out.get()); diff != "" {
		t.Errorf("life (-want +got):\n%s", diff)
	}
}

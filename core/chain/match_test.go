package chain_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/sdk"
)

// choosy is a fake that says which envelopes it wants.
type choosy struct {
	fake
	match sdk.Match
}

func (c *choosy) Match() sdk.Match { return c.match }

// choosing is a stage that denies what it wants, and says so.
func choosing(m sdk.Match, kinds ...sdk.Kind) *choosy {
	c := &choosy{match: m}
	c.Wants = kinds
	c.HandleFn = func(context.Context, *sdk.Envelope) (sdk.Decision, error) { return sdk.Refuse("wanted", ""), nil }
	return c
}

func TestFilter(t *testing.T) {
	now := sdk.Envelope{Kind: sdk.KindSend, Priority: sdk.PriorityNow, Target: sdk.Target{Kind: sdk.TargetKey}}
	low := now
	low.Priority = sdk.PriorityLow
	tests := []struct {
		name  string
		stage sdk.Stage
		env   sdk.Envelope
		want  sdk.Verdict
	}{
		{"it asks about what passes the filter", choosing(sdk.Match{Priorities: []sdk.Priority{sdk.PriorityNow}}), now, sdk.Deny},
		{"it goes around a stage whose filter fails", choosing(sdk.Match{Priorities: []sdk.Priority{sdk.PriorityNow}}), low, sdk.Answer},
		{"it takes a filter's kinds like a matcher's", choosing(sdk.Match{Kinds: []sdk.Kind{"hello"}}), now, sdk.Answer},
		{"it wants the kinds that both lists have", choosing(sdk.Match{Kinds: []sdk.Kind{"hello", "send"}}, "send", "http.*"), now, sdk.Deny},
		{
			"it does not want a kind that one list lacks",
			choosing(sdk.Match{Kinds: []sdk.Kind{"send"}}, "http.*"), sdk.Envelope{Kind: sdk.KindJoin}, sdk.Answer,
		},
		{
			"it narrows a family to one of its kinds",
			choosing(sdk.Match{Kinds: []sdk.Kind{"http.join"}}, "http.*"), sdk.Envelope{Kind: sdk.KindJoin}, sdk.Deny,
		},
		{
			"it leaves the rest of the family alone",
			choosing(sdk.Match{Kinds: []sdk.Kind{"http.join"}}, "http.*"), sdk.Envelope{Kind: "http.hook"}, sdk.Answer,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := mustBuild(t, link("choosy", tt.stage), link("route", answering()))
			if d, _ := c.Run(t.Context(), &tt.env); d.Verdict != tt.want {
				t.Errorf("got %v, want %v", d.Verdict, tt.want)
			}
			if n := c.Stats()[0].Total(sdk.Deny) + c.Stats()[0].Total(sdk.Continue); n != 0 && tt.want == sdk.Answer {
				t.Errorf("%d decisions counted on a link that was not asked", n)
			}
		})
	}
}

func TestFilterOfRecordAndDone(t *testing.T) {
	var calls []string
	c := &choosy{match: sdk.Match{MinSize: 10}}
	c.RecordFn = func(*sdk.Envelope, sdk.Decision) { calls = append(calls, "record") }
	c.DoneFn = func(*sdk.Envelope, sdk.Outcome) { calls = append(calls, "done") }
	built := mustBuild(t, link("choosy", c))
	for _, size := range []int{9, 10} {
		env := &sdk.Envelope{Kind: sdk.KindSend, Size: size}
		built.Record(env, sdk.Next())
		built.Done(env, sdk.Outcome{})
	}
	if diff := cmp.Diff([]string{"record", "record", "done"}, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// A plugin tells its filter when its process runs.
func TestFilterIsAskedAgainAfterStart(t *testing.T) {
	late := choosing(sdk.Match{})
	late.StartFn = func(context.Context) error { late.match.MaxSize = 10; return nil }
	c := mustBuild(t, link("late", late), link("route", answering()))
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int]sdk.Verdict{10: sdk.Deny, 11: sdk.Answer} {
		if d, _ := c.Run(t.Context(), &sdk.Envelope{Size: size}); d.Verdict != want {
			t.Errorf("%d bytes: got %v, want %v", size, d.Verdict, want)
		}
	}
}

func TestDescribeFilter(t *testing.T) {
	d := mustBuild(t, link("choosy", choosing(sdk.Match{
		Kinds:      []sdk.Kind{"send", "hello"},
		Priorities: []sdk.Priority{sdk.PriorityNow, sdk.PriorityLow}, Targets: []sdk.TargetKind{sdk.TargetGroup}, MinSize: 1, MaxSize: 9,
	}, "send", "join"))).Describe(false).Links[0]
	want := chain.LinkDescription{
		Name: "choosy", Stage: "choosy", Role: "gate", Enabled: true, OnFailure: chain.FailClosed, Also: []string{"records", "observes"},
		Kinds: []sdk.Kind{"send"}, Filter: "priority now or low, target group, at least 1 bytes, at most 9 bytes",
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

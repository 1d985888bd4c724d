package chain_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/sdk"
)

func TestRun(t *testing.T) {
	deny := sdk.Refuse("closed", "come back at nine")
	drop := sdk.Decision{Verdict: sdk.Drop, Reason: sdk.ReasonBlocked}
	answer := sdk.Decision{Verdict: sdk.Answer, Reply: 7}
	tests := []struct {
		name   string
		stages []sdk.Decision
		want   sdk.Decision
		by     string
		asked  string
	}{
		{"it returns the answer of the first stage that answers", []sdk.Decision{sdk.Next(), answer, deny}, answer, "b", "ab"},
		{"it stops at a denial and names the link", []sdk.Decision{sdk.Next(), sdk.Next(), deny, answer}, deny, "c", "abc"},
		{"it stops at a drop", []sdk.Decision{drop, answer}, drop, "a", "a"},
		{"it denies what no stage answers", []sdk.Decision{sdk.Next(), sdk.Next()},
			sdk.Refuse(sdk.ReasonUnanswered, "no stage of this broker's pipeline answers the request; its operator has to add a route"),
			"chain", "ab"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked := ""
			var links []chain.LinkSpec
			for i, d := range tt.stages {
				name := string(rune('a' + i))
				links = append(links, link(name, &fake{HandleFn: func(context.Context, *sdk.Envelope) (sdk.Decision, error) {
					asked += name
					return d, nil
				}}))
			}
			d, by := mustBuild(t, links...).Run(t.Context(), &sdk.Envelope{Kind: sdk.KindSend})
			if d != tt.want || by.Name() != tt.by || asked != tt.asked {
				t.Errorf("got %+v by %s after asking %s, want %+v by %s after %s", d, by.Name(), asked, tt.want, tt.by, tt.asked)
			}
		})
	}
}

// A stage that fails, in each way there is, with each policy.
func TestFailure(t *testing.T) {
	closed := sdk.Decision{
		Verdict: sdk.Deny, Reason: sdk.ReasonStageFailed, RetryAfter: time.Second,
		Text: "the broker could not judge the request (stage weak failed); try again",
	}
	opened := sdk.Decision{Verdict: sdk.Answer}
	ways := []struct {
		failure string
		handle  func(context.Context, *sdk.Envelope) (sdk.Decision, error)
	}{
		{"error", func(context.Context, *sdk.Envelope) (sdk.Decision, error) { return sdk.Next(), errBroken }},
		{"undecided", func(context.Context, *sdk.Envelope) (sdk.Decision, error) { return sdk.Decision{}, nil }},
		{"undecided", func(context.Context, *sdk.Envelope) (sdk.Decision, error) { return sdk.Decision{Verdict: 200}, nil }},
		{"panic", func(context.Context, *sdk.Envelope) (sdk.Decision, error) { panic("lost my way") }},
		{"deadline", func(ctx context.Context, _ *sdk.Envelope) (sdk.Decision, error) {
			<-ctx.Done()
			return sdk.Decision{}, ctx.Err()
		}},
	}
	policies := []struct {
		policy chain.Policy
		want   sdk.Decision
	}{{"", closed}, {chain.FailClosed, closed}, {chain.FailOpen, opened}}
	for _, way := range ways {
		for _, p := range policies {
			t.Run(way.failure+" "+string(p.policy), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					weak := link("weak", &fake{HandleFn: way.handle})
					weak.OnFailure, weak.Deadline = p.policy, time.Second
					c := mustBuild(t, weak, link("route", answering()))
					env := &sdk.Envelope{Kind: sdk.KindSend}
					if d, _ := c.Run(t.Context(), env); d != p.want {
						t.Errorf("got %+v, want %+v", d, p.want)
					}
					if marked := len(env.Attributes) > 0; marked != (p.policy == chain.FailOpen) {
						t.Errorf("the envelope is marked: %v", env.Attributes)
					}
					want := []chain.FailureStat{{Failure: way.failure, Count: 1}}
					if diff := cmp.Diff(want, c.Stats()[0].Failures); diff != "" {
						t.Errorf("failures (-want +got):\n%s", diff)
					}
				})
			})
		}
	}
}

func TestFailureOfTheCaller(t *testing.T) {
	var log bytes.Buffer
	weak := link("weak", &fake{HandleFn: func(ctx context.Context, _ *sdk.Envelope) (sdk.Decision, error) {
		return sdk.Decision{}, ctx.Err()
	}})
	weak.OnFailure = chain.FailOpen
	c := mustBuildSpec(t, chain.Spec{
		Links: []chain.LinkSpec{weak, link("route", answering())}, Insecure: true, Log: logInto(&log),
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d, by := c.Run(ctx, new(sdk.Envelope))
	if d.Verdict != sdk.Deny || d.Reason != sdk.ReasonUnavailable || by.Name() != "weak" {
		t.Errorf("a cancelled walk went on although the link fails open: %+v by %s", d, by.Name())
	}
	if s := c.Stats()[0]; s.Failed() != 0 || log.Len() > 0 {
		t.Errorf("the stage is blamed for a caller that went away: %+v, %s", s, log.String())
	}
}

func TestFailureLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := mustBuildSpec(t, chain.Spec{
			Links: []chain.LinkSpec{link("weak", &fake{
				HandleFn: func(context.Context, *sdk.Envelope) (sdk.Decision, error) { panic("lost my way") },
			})},
			Insecure: true, Log: logInto(&log),
		})
		env := &sdk.Envelope{Kind: sdk.KindSend, Sender: sdk.Sender{Conn: 12}}
		for range 100 {
			c.Run(t.Context(), env)
		}
		first := log.String()
		for _, want := range []string{`msg="stage failed"`, "link=weak", "failure=panic", "kind=send", "conn=12", "lost my way", "fake_test.go"} {
			if !strings.Contains(first, want) {
				t.Errorf("the log lacks %q: %s", want, first)
			}
		}
		if n := strings.Count(first, "\n"); n != 1 {
			t.Errorf("a hundred failures in one second made %d lines, want 1", n)
		}
		time.Sleep(time.Second)
		c.Run(t.Context(), env)
		if second := log.String()[len(first):]; !strings.Contains(second, "not_logged=99") {
			t.Errorf("the next line does not say how many were left out: %s", second)
		}
	})
}

func TestRecordAndDone(t *testing.T) {
	var calls []string
	stage := func(name string, wants ...sdk.Kind) chain.LinkSpec {
		return link(name, &fake{
			Wants:    wants,
			RecordFn: func(*sdk.Envelope, sdk.Decision) { calls = append(calls, "record "+name) },
			DoneFn:   func(*sdk.Envelope, sdk.Outcome) { calls = append(calls, "done "+name) },
		})
	}
	panics := link("panics", &fake{
		RecordFn: func(*sdk.Envelope, sdk.Decision) { panic("record") },
		DoneFn:   func(*sdk.Envelope, sdk.Outcome) { panic("done") },
	})
	c := mustBuild(t, stage("a"), panics, stage("b", sdk.KindHello), stage("c"))
	env := &sdk.Envelope{Kind: sdk.KindSend}
	c.Record(env, sdk.Next())
	c.Done(env, sdk.Outcome{})
	want := []string{"record a", "record c", "done c", "done a"}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if n := c.Stats()[1].Failed(); n != 2 {
		t.Errorf("%d failures of the stage that panics, want 2", n)
	}
}

func TestPaths(t *testing.T) {
	c := mustBuild(t,
		link("all", new(fake)),
		link("send", &fake{Wants: []sdk.Kind{sdk.KindSend}}),
		link("http", &fake{Wants: []sdk.Kind{"http.*"}}),
		link("cli", &fake{Wants: []sdk.Kind{"http.cli.*", sdk.KindSend}}),
		link("join", &fake{Wants: []sdk.Kind{sdk.KindJoin}}),
	)
	tests := []struct {
		name string
		kind sdk.Kind
		want string
	}{
		{"it gives a kind the links that name it", sdk.KindSend, "all send cli"},
		{"it gives a kind nobody names the links that want all", "list_peers", "all"},
		{"it gives an unknown kind its family", "http.hook", "all http"},
		{"it gives a named kind its family too", sdk.KindJoin, "all http join"},
		{"it gives a member of two families both", "http.cli.grants", "all http cli"},
		{"it takes a family's prefix for no member of it", "http", "all"},
		{"it takes an empty kind", "", "all"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var visited []string
			traced := mustBuildSpec(t, chain.Spec{
				Links: specsOf(c), Insecure: true,
				Probes: func(context.Context, *sdk.Envelope) chain.Probe { return probe{&visited} },
			})
			traced.Run(t.Context(), &sdk.Envelope{Kind: tt.kind})
			if got := strings.Join(visited, " "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// specsOf makes the links of a chain once more.
func specsOf(c *chain.Chain) []chain.LinkSpec {
	var specs []chain.LinkSpec
	for _, l := range c.Describe(false).Links {
		specs = append(specs, link(l.Name, &fake{Wants: l.Kinds}))
	}
	return specs
}

// probe writes down the links of a walk.
type probe struct{ visited *[]string }

type probed struct{}

func (p probe) Enter(ctx context.Context, l *chain.Link) context.Context {
	*p.visited = append(*p.visited, l.Name())
	return context.WithValue(ctx, probed{}, l.Name())
}

func (p probe) Leave(context.Context, *chain.Link, sdk.Decision, error, time.Duration) {}

func TestTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &fake{HandleFn: func(ctx context.Context, _ *sdk.Envelope) (sdk.Decision, error) {
			if ctx.Value(probed{}) != "slow" {
				t.Error("the stage did not get the probe's context")
			}
			time.Sleep(30 * time.Millisecond)
			return sdk.Next(), errBroken
		}}
		var left []string
		c := mustBuildSpec(t, chain.Spec{
			Links: []chain.LinkSpec{link("slow", slow)}, Insecure: true, Timing: -1, Log: slog.New(slog.DiscardHandler),
			Probes: func(_ context.Context, env *sdk.Envelope) chain.Probe {
				if env.Trace == "" {
					return nil
				}
				return leaver{probe{new([]string)}, &left}
			},
		})
		c.Run(context.WithValue(t.Context(), probed{}, "slow"), new(sdk.Envelope))
		c.Run(t.Context(), &sdk.Envelope{Trace: "00-…"})
		if diff := cmp.Diff([]string{"slow continue broken on purpose 30ms"}, left); diff != "" {
			t.Errorf("seen (-want +got):\n%s", diff)
		}
		if got := c.Stats()[0].Timing; got.Count != 1 || got.Mean() != 30*time.Millisecond || got.Quantile(0.99) != 50*time.Millisecond {
			t.Errorf("got %d timed, mean %v, p99 %v; want the traced one of 30ms, in the bucket up to 50ms",
				got.Count, got.Mean(), got.Quantile(0.99))
		}
	})
}

// leaver also writes down how each stage decided.
type leaver struct {
	probe
	left *[]string
}

func (p leaver) Leave(_ context.Context, l *chain.Link, d sdk.Decision, err error, took time.Duration) {
	*p.left = append(*p.left, strings.Join([]string{l.Name(), d.Verdict.String(), err.Error(), took.String()}, " "))
}

func TestTimingSample(t *testing.T) {
	for _, tt := range []struct {
		name     string
		every    int
		min, max uint64
	}{
		{"it times one walk in 64 unless told otherwise", 0, 60, 260}, // 156 on average
		{"it times every walk with 1", 1, 10_000, 10_000},
		{"it times none with -1", -1, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := mustBuildSpec(t, chain.Spec{Links: []chain.LinkSpec{link("a", answering())}, Insecure: true, Timing: tt.every})
			for range 10_000 {
				c.Run(t.Context(), new(sdk.Envelope))
			}
			s := c.Stats()[0]
			if n := s.Timing.Count; n < tt.min || n > tt.max {
				t.Errorf("%d of 10000 timed, want %d to %d", n, tt.min, tt.max)
			}
			if n := s.Total(sdk.Answer); n != 10_000 {
				t.Errorf("%d answers counted, want 10000", n)
			}
		})
	}
}

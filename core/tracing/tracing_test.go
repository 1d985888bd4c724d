package tracing_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/tracing"
	"github.com/claudemesh/broker/sdk"
)

const (
	traceID   = "4bf92f3577b34da6a3ce929d0e0e4736"
	sampled   = "00-" + traceID + "-00f067aa0ba902b7-01"
	unsampled = "00-" + traceID + "-00f067aa0ba902b7-00"
)

// member is a sender that has proved itself, with a kind that is answered.
var member = tracing.Who{Known: true, Proved: true}

// rig is a tracer whose spans are kept.
type rig struct {
	*tracing.Tracer
	spans *tracetest.SpanRecorder
}

func newRig(o tracing.Options) rig {
	spans := tracetest.NewSpanRecorder()
	p := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans), sdktrace.WithSampler(sdktrace.AlwaysSample()))
	return rig{tracing.New(p.Tracer("test"), o), spans}
}

func envelope(traceparent string) *sdk.Envelope {
	return &sdk.Envelope{
		Kind: sdk.KindSend, Mesh: "mesh-1", Arrived: time.Now(), Size: 512, Trace: traceparent,
		Sender: sdk.Sender{MemberID: "member-1", Name: "Ada", Conn: 7}, Target: sdk.Target{Kind: sdk.TargetKey, Spec: strings.Repeat("ab", 32)},
	}
}

func perSecond(n int) config.Limit {
	return config.Limit{Rate: config.Rate{Count: n, Per: time.Second}}
}

// TestDecision says who is traced.
func TestDecision(t *testing.T) {
	follow := tracing.Sampling{Follow: true}
	tests := []struct {
		name     string
		sampling tracing.Sampling
		trace    string
		want     bool
	}{
		{"nobody's, at none", follow, "", false},
		{"nobody's, at all", tracing.Sampling{Ratio: 1, Follow: true}, "", true},
		{"the sender's", follow, sampled, true},
		{"not the sender's, at all", tracing.Sampling{Ratio: 1, Follow: true}, unsampled, false},
		{"the sender's, not followed, at none", tracing.Sampling{}, sampled, false},
		{"not the sender's, not followed, at all", tracing.Sampling{Ratio: 1}, unsampled, true},
		{"by an id that is low, at half", tracing.Sampling{Ratio: 0.5}, "00-" + strings.Repeat("0", 15) + "1" + "0fffffffffffffff-00f067aa0ba902b7-00", true},
		{"by an id that is high, at half", tracing.Sampling{Ratio: 0.5}, "00-" + strings.Repeat("0", 15) + "1" + "ffffffffffffffff-00f067aa0ba902b7-00", false},
		{"other flags with it", follow, sampled[:53] + "0b", true},
		{"other flags without it", follow, sampled[:53] + "fe", false},
		{"letters that are odd", follow, sampled[:53] + "ff", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(tracing.Options{Sampling: test.sampling})
			env := envelope(test.trace)
			trail := r.Begin(env, member)
			if got := trail != nil; got != test.want {
				t.Errorf("traced %v, want %v", got, test.want)
			}
			if trail == nil && env.Trace != test.trace {
				t.Errorf("the sender's context became %q", env.Trace)
			}
		})
	}
}

// TestRatioIsKept decides often.
func TestRatioIsKept(t *testing.T) {
	r := newRig(tracing.Options{Sampling: tracing.Sampling{Ratio: 0.1, Follow: true}})
	const n = 20_000
	took := 0
	for range n {
		if r.Begin(envelope(""), member) != nil {
			took++
		}
	}
	if took < n/10*8/10 || took > n/10*12/10 {
		t.Errorf("%d of %d were traced, want one in ten", took, n)
	}
}

// TestTrail has an envelope of a sender that traces.
func TestTrail(t *testing.T) {
	r := newRig(tracing.Options{Sampling: tracing.Sampling{Follow: true}})
	env := envelope(sampled)
	trail := r.Begin(env, member)
	if !strings.HasPrefix(env.Trace, "00-"+traceID+"-") || env.Trace == sampled || !strings.HasSuffix(env.Trace, "-01") {
		t.Errorf("what the envelope causes belongs to %q", env.Trace)
	}
	if trail.TraceID() != traceID {
		t.Errorf("trace id %q", trail.TraceID())
	}
	if r.Probe(trail.Context(), env) != trail {
		t.Error("the context does not lead to the trail")
	}
	trail.Committed(time.Now().Add(-time.Second), nil)
	push := r.Pushed(tracing.Push{Trace: env.Trace, Since: env.Arrived, At: time.Now(), Tries: 1})
	trail.End(env, sdk.Outcome{Decision: sdk.Decision{Verdict: sdk.Answer}, Stage: "route", Recipients: 2, Pushed: 1, Queued: 1})
	push.Confirmed(tracing.ByPong)

	byName := map[string]sdktrace.ReadOnlySpan{}
	for _, s := range r.spans.Ended() {
		byName[s.Name()] = s
		if s.SpanContext().TraceID().String() != traceID {
			t.Errorf("%s is in the trace %s", s.Name(), s.SpanContext().TraceID())
		}
	}
	parent := func(name, want string) {
		t.Helper()
		s := byName[name]
		if s == nil {
			t.Fatalf("no span %s", name)
		}
		if got := s.Parent().SpanID().String(); got != want {
			t.Errorf("%s is below %s, want %s", name, got, want)
		}
	}
	parent("envelope/send", "00f067aa0ba902b7")
	whole := byName["envelope/send"].SpanContext().SpanID().String()
	parent("commit", whole)
	parent("push", whole)
	parent("confirm", byName["push"].SpanContext().SpanID().String())
}

// TestNoNames looks for what must not be in a span.
func TestNoNames(t *testing.T) {
	for _, names := range []bool{false, true} {
		r := newRig(tracing.Options{Sampling: tracing.Sampling{Ratio: 1}, Names: names})
		env := envelope("")
		trail := r.Begin(env, member)
		trail.End(env, sdk.Outcome{Decision: sdk.Refuse("not_granted", "Ada may not write to Bo"), Err: errors.New("Ada has failed")})
		span := r.spans.Ended()[0]
		var all []string
		for _, a := range span.Attributes() {
			all = append(all, a.Value.String())
		}
		all = append(all, span.Status().Description, span.Name())
		for _, secret := range []string{"member-1", "Ada", "mesh-1"} {
			if got := slices.Contains(all, secret); got != names {
				t.Errorf("names %v: %q is in the span: %v", names, secret, got)
			}
		}
		if text := strings.Join(all, " "); strings.Contains(text, strings.Repeat("ab", 32)) || strings.Contains(text, "may not") || strings.Contains(text, "has failed") {
			t.Errorf("a key or a text is in the span: %s", text)
		}
	}
}

// TestPeersAreBounded has senders that trace everything.
func TestPeersAreBounded(t *testing.T) {
	r := newRig(tracing.Options{Sampling: tracing.Sampling{Follow: true}, Peers: perSecond(5)})
	begun := 0
	for range 100 {
		env := envelope(sampled)
		if r.Begin(env, member) != nil {
			begun++
		} else if env.Trace != sampled {
			t.Fatal("the sender's context is not handed on as it came")
		}
	}
	if begun < 5 || begun > 50 || r.Counters.Declined.Load() != int64(100-begun) {
		t.Errorf("%d were traced, %d declined", begun, r.Counters.Declined.Load())
	}
}

// TestRefusedAfterwards has refused envelopes that nobody traces.
func TestRefusedAfterwards(t *testing.T) {
	r := newRig(tracing.Options{Refused: perSecond(2)})
	out := sdk.Outcome{Decision: sdk.Refuse("rate_limit", "slower"), Stage: "rate-limit"}
	ids := map[string]bool{}
	for range 50 {
		ids[r.Refused(envelope(""), true, out)] = true
	}
	spans := r.spans.Ended()
	if len(spans) < 2 || len(spans) > 25 {
		t.Errorf("%d spans, want about 2", len(spans))
	}
	if !ids[spans[0].SpanContext().TraceID().String()] || !ids[""] {
		t.Error("the traces that were told are not those of the spans")
	}
	if got := r.Refused(envelope(unsampled), true, out); got != traceID {
		t.Errorf("one beyond the rate is said to be in the trace %q, and its sender said %q", got, traceID)
	}
	if spans[0].Name() != "envelope/send" {
		t.Errorf("the span is called %q", spans[0].Name())
	}
}

// TestUnknownKinds have one name: they come from strangers.
func TestUnknownKinds(t *testing.T) {
	r := newRig(tracing.Options{Sampling: tracing.Sampling{Ratio: 1}})
	env := envelope("")
	env.Kind = "whatever-i-like"
	r.Begin(env, tracing.Who{Proved: true}).End(env, sdk.Outcome{})
	r.Refused(env, false, sdk.Outcome{})
	for _, s := range r.spans.Ended() {
		if s.Name() != "envelope/unknown" {
			t.Errorf("a span is called %q", s.Name())
		}
		for _, a := range s.Attributes() {
			if a.Value.String() == "whatever-i-like" {
				t.Errorf("%s is what a stranger wrote", a.Key)
			}
		}
	}
}

// TestNobodyTraces has the nil Tracer.
func TestNobodyTraces(t *testing.T) {
	var tracer *tracing.Tracer
	env := envelope(sampled)
	trail := tracer.Begin(env, member)
	trail.Committed(time.Now(), nil)
	trail.End(env, sdk.Outcome{})
	tracer.Pushed(tracing.Push{}).Confirmed(tracing.ByAck)
	if trail != nil || trail.TraceID() != "" || env.Trace != sampled {
		t.Error("it traces")
	}
	if got := tracer.Refused(env, true, sdk.Outcome{}); got != traceID {
		t.Errorf("the refused envelope's trace is %q", got)
	}
}

// TestNothingAllocates: not traced costs no memory.
func TestNothingAllocates(t *testing.T) {
	var none *tracing.Tracer
	for name, tracer := range map[string]*tracing.Tracer{
		"off": none, "at 0": newRig(tracing.Options{Sampling: tracing.Sampling{Follow: true}}).Tracer,
	} {
		for _, text := range []string{"", unsampled} {
			env := envelope(text)
			n := testing.AllocsPerRun(100, func() {
				trail := tracer.Begin(env, member)
				if tracer != nil && tracer.Probe(trail.Context(), env) != nil {
					t.Error("a probe")
				}
				trail.Committed(time.Time{}, nil)
				trail.End(env, sdk.Outcome{})
			})
			if n != 0 {
				t.Errorf("%s, %q: %v allocations", name, text, n)
			}
		}
	}
}

func FuzzTraceparent(f *testing.F) {
	for _, seed := range []string{"", sampled, unsampled, sampled + "-more", strings.Repeat("f", 55), "00-" + strings.Repeat("0", 32) + "-" + strings.Repeat("0", 16) + "-01"} {
		f.Add(seed)
	}
	r := newRig(tracing.Options{Sampling: tracing.Sampling{Ratio: 0.5}})
	f.Fuzz(func(t *testing.T, text string) {
		if id := tracing.TraceID(text); id != "" && len(id) != 32 {
			t.Errorf("%q has the trace id %q", text, id)
		}
		env := envelope(text)
		r.Begin(env, member).End(env, sdk.Outcome{})
	})
}

// TestStrangersHaveTheirOwnRate: what they take is not taken from members.
func TestStrangersHaveTheirOwnRate(t *testing.T) {
	r := newRig(tracing.Options{Sampling: tracing.Sampling{Follow: true}, Peers: perSecond(20)})
	begun := 0
	for range 100 {
		if r.Begin(envelope(sampled), tracing.Who{Known: true}) != nil {
			begun++
		}
	}
	if begun < 1 || begun > 20 {
		t.Errorf("%d traces of strangers", begun)
	}
	if r.Begin(envelope(sampled), member) == nil {
		t.Error("a member's trace was declined")
	}
}

// TestPushOfAnotherClock was accepted by a node whose clock is ahead.
func TestPushOfAnotherClock(t *testing.T) {
	r := newRig(tracing.Options{})
	now := time.Now()
	r.Pushed(tracing.Push{Trace: sampled, Since: now.Add(40 * time.Millisecond), At: now})
	if s := r.spans.Ended()[0]; s.EndTime().Before(s.StartTime()) {
		t.Errorf("the push lasts %v", s.EndTime().Sub(s.StartTime()))
	}
}

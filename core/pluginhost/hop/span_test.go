package hop

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/claudemesh/broker/sdk"
)

// A text that an exporter could not send never reaches one.
func TestTextsOfSpansAreTexts(t *testing.T) {
	for text, want := range map[string]string{"plain": "plain", "a\xff": "a\uFFFD", "ééé": "éé", "": ""} {
		if got := spanText(text, 5); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// A trace is known for a minute, and for two at most, and never more of them
// than there is room for.
func TestRecentTraces(t *testing.T) {
	traceOf := func(n int) trace.SpanContext {
		return trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{1, byte(n), byte(n >> 8), byte(n >> 16)}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled,
		})
	}
	var r recent
	began := time.Now()
	known := func(n int, after time.Duration) bool {
		_, known := r.parent(traceOf(n).TraceID(), began.Add(after))
		return known
	}
	r.add(traceOf(0), began)
	if !known(0, recentFor-1) || !known(0, 2*recentFor-1) || known(0, 3*recentFor) || known(1, 0) {
		t.Error("a trace is not known for as long as it should be, or for longer")
	}
	r = recent{}
	for n := range 3 * mostRecent {
		r.add(traceOf(n), began)
	}
	if known(0, 1) || !known(3*mostRecent-1, 1) || len(r.now)+len(r.before) > 2*mostRecent {
		t.Errorf("%d and %d traces are kept", len(r.now), len(r.before))
	}
}

// An envelope that is not sampled pays nothing for traces: its view takes no
// memory once it has run, with all that makes spans in place.
func TestUnsampledAllocatesNothing(t *testing.T) {
	type key struct{}
	v := newViewer(Rights{Identity: true}, "guard")
	env := &sdk.Envelope{Kind: sdk.KindSend, Trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
	ctx, room := context.WithValue(t.Context(), key{}, 1), make([]byte, 0, 1024)
	allocated := testing.AllocsPerRun(1000, func() {
		if _, err := v.appendView(ctx, room, env, sampledIn(ctx)); err != nil {
			t.Fatal(err)
		}
	})
	if allocated >= 1 {
		t.Errorf("%v allocations, want none", allocated)
	}
}

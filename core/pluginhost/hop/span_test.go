package hop

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
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
	known := func(n int, after time.Duration) bool { return r.knows(traceOf(n).TraceID(), began.Add(after)) }
	r.add(traceOf(0), began)
	if !known(0, recentFor-1) || !known(0, 2*recentFor-1) || known(0, 3*recentFor) || known(1, 0) {
		t.Error("a trace is not known for as long as it should be, or for longer")
	}
	r = recent{}
	r.add(traceOf(0), began)
	r.add(traceOf(1), began.Add(recentFor)) // it begins another minute
	if !known(0, 2*recentFor-1) || !known(1, 2*recentFor-1) || known(0, 2*recentFor) {
		t.Error("a trace is not known for as long as it should be when another follows")
	}
	r = recent{}
	for n := range 3 * mostRecent {
		r.add(traceOf(n), began)
	}
	if known(0, 1) || !known(3*mostRecent-1, 1) || len(r.now)+len(r.before) > 2*mostRecent {
		t.Errorf("%d and %d traces are kept", len(r.now), len(r.before))
	}
}

// A plugin has several envelopes of one trace in hand, as of a sender that keeps
// one for a conversation. Each has its own parent, and none of those is the
// plugin's to take.
func TestSpansOfOneTrace(t *testing.T) {
	h, began := new(Hop), time.Now()
	id := trace.TraceID{1}
	told := func(n byte, after time.Duration) []byte {
		span := trace.SpanID{n}
		h.recent.add(trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: span, TraceFlags: trace.FlagsSampled}), began.Add(after))
		return span[:]
	}
	first, second, late := told(1, 0), told(2, 0), told(3, recentFor)
	own, under := []byte("ownspan1"), []byte("ownspan2")
	for name, test := range map[string]struct {
		span, parent []byte
		ok, remote   bool
	}{
		"below the first":             {own, first, true, true},
		"below the second":            {own, second, true, true},
		"below one of a minute later": {own, late, true, true},
		"below another of its own":    {under, own, true, false},
		"in the place of the first":   {first, second, false, false},
		"in the place of the second":  {second, late, false, false},
		"in the place of the last":    {late, own, false, false},
		"below itself":                {own, own, false, false},
		"without a parent":            {own, make([]byte, 8), false, false},
	} {
		pb := &pluginpb.Span{TraceId: id[:], SpanId: test.span, ParentSpanId: test.parent}
		_, above, ok := h.placeOf(pb, began.Add(recentFor))
		if ok != test.ok || ok && above.IsRemote() != test.remote {
			t.Errorf("%s: ok %v, with a remote parent %v", name, ok, above.IsRemote())
		}
	}
	other := trace.TraceID{2}
	h.recent.add(trace.NewSpanContext(trace.SpanContextConfig{TraceID: other, SpanID: trace.SpanID{9}, TraceFlags: trace.FlagsSampled}), began)
	if _, above, ok := h.placeOf(&pluginpb.Span{TraceId: other[:], SpanId: own, ParentSpanId: first}, began); !ok || above.IsRemote() {
		t.Errorf("a span of another trace passes for the broker's: ok %v", ok)
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

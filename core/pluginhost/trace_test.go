package pluginhost_test

import (
	"context"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/sdk"
)

// traced is a host of which every span is recorded, and the tracer of the spans
// around its stages.
type traced struct {
	*pluginhost.Host
	*tracetest.SpanRecorder
	tracer trace.Tracer
	log    *journal
}

func tracedHost(t testing.TB) *traced {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("test")
	h, log := hostWith(t, pluginhost.Options{Tracer: tracer, Spans: recorder})
	return &traced{h, recorder, tracer, log}
}

// within asks a stage within a sampled span, as the chain does.
func (h *traced) within(t testing.TB, s sdk.Stage, env *sdk.Envelope) (trace.SpanContext, error) {
	t.Helper()
	ctx, span := h.tracer.Start(t.Context(), "stage/drill", trace.WithNewRoot())
	defer span.End()
	_, err := s.Handle(ctx, env)
	return span.SpanContext(), err
}

// named returns the spans of a name that have ended, in the trace of a span or,
// with none, in any.
func (h *traced) named(of trace.SpanContext, name string) (list []sdktrace.ReadOnlySpan) {
	for _, s := range h.Ended() {
		if s.Name() == name && (!of.IsValid() || s.SpanContext().TraceID() == of.TraceID()) {
			list = append(list, s)
		}
	}
	return list
}

// only waits for the one span of a name.
func (h *traced) only(t testing.TB, of trace.SpanContext, name string) sdktrace.ReadOnlySpan {
	t.Helper()
	until(t, "the span "+name, func() bool { return len(h.named(of, name)) > 0 })
	list := h.named(of, name)
	if len(list) > 1 {
		t.Fatalf("%d spans %s", len(list), name)
	}
	return list[0]
}

// A trace goes through a plugin's process: from the stage's span to that of the
// plugin, and to what its author measures.
func TestATraceThroughAProcess(t *testing.T) {
	h := tracedHost(t)
	s := start(t, h.Host, link(t, "drill"))
	defer stop(t, s)
	if _, err := s.Handle(t.Context(), sized(sizeTrace)); err != nil { // not sampled
		t.Fatal(err)
	}
	stage, err := h.within(t, s, sized(sizeTrace))
	if err != nil {
		t.Fatal(err)
	}
	mine := h.only(t, stage, "plugin/drill")
	if mine.Parent().SpanID() != stage.SpanID() || mine.SpanKind() != trace.SpanKindServer || mine.Status().Code != codes.Unset {
		t.Errorf("%v, %v, %v: want it right below the stage's span", mine.Parent(), mine.SpanKind(), mine.Status())
	}
	authors := h.only(t, stage, "look up")
	if authors.Parent().SpanID() != mine.SpanContext().SpanID() || authors.InstrumentationScope().Name != "drills" {
		t.Errorf("the author's span is below %v, of %q", authors.Parent(), authors.InstrumentationScope().Name)
	}
	if a := authors.Attributes(); len(a) != 1 || a[0].Key != "rows" || a[0].Value.AsInt64() != 3 {
		t.Errorf("its attributes are %v", a)
	}
	for key, want := range map[string]string{"service.name": "drills", "service.version": "1.2.3", "claudemesh.link": "drill"} {
		if v, _ := mine.Resource().Set().Value(attribute.Key(key)); v.AsString() != want {
			t.Errorf("%s is %q, want %q", key, v.AsString(), want)
		}
	}
	batch := h.only(t, trace.SpanContext{}, "batch/drill") // of the envelope that is not sampled there is none
	if len(batch.Links()) != 1 || !batch.Links()[0].SpanContext.Equal(stage) || batch.SpanContext().TraceID() == stage.TraceID() {
		t.Errorf("the batch is linked to %v, want a root with a link to %v", batch.Links(), stage)
	}
	seconds := make(map[string]float64)
	for _, a := range batch.Attributes() {
		seconds[string(a.Key)] = a.Value.AsFloat64()
	}
	if seconds["claudemesh.batch.plugin_seconds"] <= 0 || seconds["claudemesh.batch.wire_seconds"] <= 0 {
		t.Errorf("its attributes are %v", batch.Attributes())
	}
	want := "trace_id=" + stage.TraceID().String() + " span_id=" + authors.SpanContext().SpanID().String()
	until(t, "the author's record", func() bool { return strings.Count(h.log.String(), "looked up") == 2 })
	if text := h.log.String(); strings.Count(text, "trace_id=") != 1 || !strings.Contains(text, want) {
		t.Errorf("want %s in the record of the envelope that is sampled, and nothing in the other:\n%s", want, text)
	}
}

// What a plugin failed at is a failed span, and its process's end loses spans
// and no more.
func TestFailuresOfAPluginInTraces(t *testing.T) {
	h := tracedHost(t)
	l := link(t, "drill")
	l.OnFailure, l.Then = config.FailClosed, ""
	s := start(t, h.Host, l)
	defer stop(t, s)
	for size, want := range map[int]string{sizeFail: "stage", sizePanic: "panic"} {
		stage, err := h.within(t, s, sized(size))
		if err == nil {
			t.Fatal("it did not fail")
		}
		mine := h.only(t, stage, "plugin/drill")
		if mine.Status().Code != codes.Error || mine.Status().Description != want {
			t.Errorf("the status is %v, want an error, %s", mine.Status(), want)
		}
	}
	stage, err := h.within(t, s, sized(sizeExit))
	if err == nil {
		t.Fatal("it did not fail")
	}
	until(t, "the span of the lost batch", func() bool { return len(h.named(trace.SpanContext{}, "batch/drill")) == 3 })
	lost := h.named(trace.SpanContext{}, "batch/drill")[2]
	if lost.Status().Code != codes.Error || !lost.Links()[0].SpanContext.Equal(stage) {
		t.Errorf("the lost batch has the status %v", lost.Status())
	}
	until(t, "the next process", func() bool {
		stage, err = h.within(t, s, sized(sizeTrace))
		return err == nil
	})
	h.only(t, stage, "plugin/drill")
}

// A plugin writes into no trace but those of envelopes that it is asked about.
func TestForgedSpans(t *testing.T) {
	h := tracedHost(t)
	s := start(t, h.Host, link(t, "forge"))
	defer stop(t, s)
	stage, err := h.within(t, s, sized(500))
	if err != nil {
		t.Fatal(err)
	}
	if right := h.only(t, stage, "right"); right.Parent().SpanID() != stage.SpanID() {
		t.Errorf("below %v", right.Parent())
	}
	st := status(t, h.Host).Hop
	if st.Spans != 1 || st.SpansDropped != 100 || st.Breaches != 0 || len(h.named(trace.SpanContext{}, "forged")) > 0 {
		t.Errorf("%d spans taken, %d dropped, %d breaches", st.Spans, st.SpansDropped, st.Breaches)
	}
}

// A broker that traces nothing is brought nothing.
func TestNoSpansForABrokerWithoutTraces(t *testing.T) {
	h := newHost(t)
	s := start(t, h, link(t, "drill"))
	defer stop(t, s)
	ctx, span := sdktrace.NewTracerProvider().Tracer("test").Start(context.Background(), "stage/drill")
	defer span.End()
	if _, err := s.Handle(ctx, sized(sizeTrace)); err != nil {
		t.Fatal(err)
	}
	if st := status(t, h).Hop; st.Spans != 0 || st.SpansDropped != 0 {
		t.Errorf("%d spans taken, %d dropped", st.Spans, st.SpansDropped)
	}
}

package plugin

import (
	"context"
	"errors"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// Tracer returns what makes spans of a stage's own work, by the context of
// Handle:
//
//	ctx, span := plugin.Tracer(ctx).Start(ctx, "look up the list")
//	defer span.End()
//
// They become part of the envelope's trace, below a span plugin/STAGE that is
// there already, and leave by way of the broker: the stage needs no exporter.
// For an envelope that is not traced, and for any other context, the tracer
// makes spans that record nothing. A span may end after Handle, within a minute.
//
// Put no names, keys or payloads into spans: who may read traces was not asked
// when a capability was granted.
func Tracer(ctx context.Context) trace.Tracer {
	scope := ""
	if in := instanceOf(ctx); in != nil {
		scope = in.service.plugin.Name
	}
	return trace.SpanFromContext(ctx).TracerProvider().Tracer(scope)
}

// scopeName is who makes the spans plugin/STAGE.
const scopeName = "github.com/claudemesh/broker/sdk/plugin"

// traces makes the spans of one instance, and keeps those that have ended until
// they are sent. The nil traces belongs to a broker that takes none. Safe for
// concurrent use.
type traces struct {
	tracer trace.Tracer
	name   string // of the stage's span

	mu      sync.Mutex
	waiting []*pluginpb.Span
	missed  uint64  // found no room since the last were taken
	out     *outbox // nil at the simple level
}

// newTraces makes the traces of a stage. What its envelopes do not lead to is
// not recorded: the broker would not take it.
func newTraces(stage string) *traces {
	t := &traces{name: "plugin/" + stage}
	t.tracer = sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample())),
		sdktrace.WithResource(resource.Empty()), // the broker says who we are
		sdktrace.WithRawSpanLimits(spanLimits()),
		sdktrace.WithSpanProcessor(t),
	).Tracer(scopeName)
	return t
}

// begin opens the span of an envelope whose trace field is set. The span is nil
// when the field says nothing of use.
func (t *traces) begin(ctx context.Context, traceparent string) (context.Context, trace.Span) {
	within := propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
	if !trace.SpanContextFromContext(within).IsSampled() {
		return ctx, nil
	}
	return t.tracer.Start(within, t.name, trace.WithSpanKind(trace.SpanKindServer))
}

// conclude ends the span of an envelope with what was decided, or with how the
// stage failed. What an error says goes to the broker's log alone: it may name
// somebody.
func conclude(span trace.Span, d sdk.Decision, err error) {
	if err != nil {
		word := "stage"
		if _, ok := errors.AsType[*panicError](err); ok {
			word = "panic"
		}
		span.SetAttributes(attribute.String("error.type", word))
		span.SetStatus(codes.Error, word)
	} else {
		span.SetAttributes(attribute.String("claudemesh.verdict", d.Verdict.String()))
		if d.Reason != "" {
			span.SetAttributes(attribute.String("claudemesh.reason", string(d.Reason)))
		}
	}
	span.End()
}

// connect has spans sent over a stream.
func (t *traces) connect(o *outbox) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out = o
}

// OnStart implements [sdktrace.SpanProcessor].
func (t *traces) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd implements [sdktrace.SpanProcessor]: it keeps the span, and never waits.
func (t *traces) OnEnd(s sdktrace.ReadOnlySpan) {
	span := spanOf(s)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == mostSpans || span.SizeVT() > longestSpan {
		t.missed++
		return
	}
	t.waiting = append(t.waiting, span)
	// That of the stage leaves with the verdicts, as does most of what is below it.
	if t.out != nil && s.Name() != t.name {
		t.out.rouse()
	}
}

// flush has what waits sent, where no verdicts take it along.
func (t *traces) flush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.out != nil {
		t.out.rouse()
	}
}

// Shutdown implements [sdktrace.SpanProcessor].
func (t *traces) Shutdown(context.Context) error { return nil }

// ForceFlush implements [sdktrace.SpanProcessor].
func (t *traces) ForceFlush(context.Context) error { return nil }

// take returns what waits, as far as it goes into one message; nil when nothing
// does.
func (t *traces) take() *pluginpb.Spans {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 && t.missed == 0 {
		return nil
	}
	n := min(len(t.waiting), mostSpansAtOnce)
	s := &pluginpb.Spans{Spans: t.waiting[:n:n], Missed: t.missed}
	t.waiting, t.missed = t.waiting[n:], 0
	if len(t.waiting) == 0 {
		t.waiting = nil // s has the list
	}
	return s
}

package tracing

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/sdk"
)

// Trail is the spans of one traced envelope. It is handed from goroutine to
// goroutine with its envelope. The nil Trail is that of an envelope that is not
// traced.
type Trail struct {
	tracer *Tracer
	ctx    context.Context // with the trail and the envelope's span
	span   trace.Span
	name   string // of what is asked
}

type trailKey struct{}

func (t *Tracer) open(ctx context.Context, env *sdk.Envelope, name string) *Trail {
	trail := &Trail{tracer: t, name: name}
	ctx, trail.span = t.spans.Start(ctx, spanOf+name,
		trace.WithTimestamp(env.Arrived), trace.WithSpanKind(trace.SpanKindServer))
	trail.ctx = context.WithValue(ctx, trailKey{}, trail)
	env.Trace = format(trail.span)
	return trail
}

// Context returns a context to run the envelope's chain with, whose span is the
// envelope's; the background context for an envelope that is not traced.
func (trail *Trail) Context() context.Context {
	if trail == nil {
		return context.Background()
	}
	return trail.ctx
}

// Within adds the trail to a context that a caller brought.
func (trail *Trail) Within(ctx context.Context) context.Context {
	if trail == nil {
		return ctx
	}
	return context.WithValue(trace.ContextWithSpan(ctx, trail.span), trailKey{}, trail)
}

// Enter implements [chain.Probe].
func (trail *Trail) Enter(ctx context.Context, l *chain.Link) context.Context {
	ctx, _ = trail.tracer.spans.Start(trace.ContextWithSpan(ctx, trail.span), "stage/"+l.Name())
	return ctx
}

// Leave implements [chain.Probe]. The span ends when the stage did, which may be
// long ago: a verdict of a remote stage waits for its envelope's turn.
func (trail *Trail) Leave(ctx context.Context, _ *chain.Link, d sdk.Decision, err error, took time.Duration) {
	span := trace.SpanFromContext(ctx)
	if err != nil {
		failed(span, err)
	} else {
		span.SetAttributes(decided(d)...)
	}
	var at []trace.SpanEndOption
	if s, ok := span.(interface{ StartTime() time.Time }); ok { // every span of the SDK
		at = append(at, trace.WithTimestamp(s.StartTime().Add(took)))
	}
	span.End(at...)
}

// Committed adds the span of the transaction that the envelope's answer waited
// for, from when it was handed over until it was over.
func (trail *Trail) Committed(since time.Time, err error) {
	if trail == nil {
		return
	}
	_, span := trail.tracer.spans.Start(trail.ctx, "commit", trace.WithTimestamp(since))
	if err != nil {
		failed(span, err)
	}
	span.End()
}

// End ends the envelope's span, with whatever else the caller knows of it.
func (trail *Trail) End(env *sdk.Envelope, out sdk.Outcome, more ...attribute.KeyValue) {
	if trail == nil {
		return
	}
	trail.tracer.conclude(trail.span, trail.name, env, out, more)
}

// TraceID returns the trace's id, empty for an envelope that is not traced.
func (trail *Trail) TraceID() string {
	if trail == nil {
		return ""
	}
	return trail.span.SpanContext().TraceID().String()
}

func (t *Tracer) conclude(span trace.Span, name string, env *sdk.Envelope, out sdk.Outcome, more []attribute.KeyValue) {
	span.SetAttributes(t.about(env, name)...)
	span.SetAttributes(ended(out)...)
	span.SetAttributes(more...)
	if out.Err != nil {
		failed(span, out.Err)
	}
	span.End()
}

// Refused adds the span of an envelope that was refused, dropped or failed, and
// is not traced, unless there were too many of them just now. Then env.Trace is
// the span's, for whoever still has something to say of it. It returns the
// trace that the envelope belongs to: the span's, else that of its sender, else
// none. known says that the kind is one that this broker answers.
func (t *Tracer) Refused(env *sdk.Envelope, known bool, out sdk.Outcome, more ...attribute.KeyValue) (traceID string) {
	if t == nil || !t.refused.Allow() {
		return TraceID(env.Trace)
	}
	t.Counters.Refused.Add(1)
	ctx := trace.ContextWithRemoteSpanContext(context.Background(), parse(env.Trace))
	name := nameOf(env, known)
	_, span := t.spans.Start(ctx, spanOf+name,
		trace.WithTimestamp(env.Arrived), trace.WithSpanKind(trace.SpanKindServer))
	env.Trace = format(span)
	t.conclude(span, name, env, out, append(more, attribute.Bool("claudemesh.afterwards", true)))
	return span.SpanContext().TraceID().String()
}

// failed marks a span as failed. What an error says goes to the log alone: it
// may name somebody.
func failed(span trace.Span, err error) {
	word := errorType(err)
	span.SetAttributes(attribute.String("error.type", word))
	span.SetStatus(codes.Error, word)
}

package tracing

import (
	"context"

	"go.opentelemetry.io/otel/trace"

	"github.com/claudemesh/broker/core/traceparent"
)

// parse returns the context that a traceparent speaks of, one that is not valid
// for a text that joins no trace.
func parse(text string) trace.SpanContext {
	c, ok := traceparent.Parse(text)
	if !ok {
		return trace.SpanContext{}
	}
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: c.TraceID, SpanID: c.SpanID, TraceFlags: trace.TraceFlags(0).WithSampled(c.Sampled), Remote: true,
	})
}

// format returns the traceparent of a span, empty for one whose context is not
// valid.
func format(s trace.Span) string {
	c := s.SpanContext()
	if !c.IsValid() {
		return ""
	}
	return traceparent.Context{TraceID: c.TraceID(), SpanID: c.SpanID(), Sampled: c.IsSampled()}.String()
}

// Join returns a context whose log lines are part of the trace of a traceparent,
// if that says that its sender traces.
func Join(ctx context.Context, text string) context.Context {
	if c := parse(text); c.IsSampled() && c.IsValid() {
		return trace.ContextWithRemoteSpanContext(ctx, c)
	}
	return ctx
}

// TraceID returns the trace id in a traceparent, empty for a text that joins no
// trace.
func TraceID(text string) string {
	if c := parse(text); c.IsValid() {
		return c.TraceID().String()
	}
	return ""
}

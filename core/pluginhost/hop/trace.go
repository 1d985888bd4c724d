package hop

import (
	"context"

	"go.opentelemetry.io/otel/trace"

	"github.com/claudemesh/broker/core/traceparent"
)

// sampledIn returns the span that a context is within when it is sampled, and
// nothing otherwise.
func sampledIn(ctx context.Context) trace.SpanContext {
	if c := trace.SpanContextFromContext(ctx); c.IsSampled() && c.IsValid() {
		return c
	}
	return trace.SpanContext{}
}

// format is the traceparent of a span's context, empty for one that is not sampled.
func format(c trace.SpanContext) string {
	if !c.IsSampled() {
		return ""
	}
	return traceparent.Context{TraceID: c.TraceID(), SpanID: c.SpanID(), Sampled: true}.String()
}

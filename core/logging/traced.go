package logging

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// Keys of the ids by which lines join with spans. They are as long as in OTLP
// and in traceparent: 32 and 16 hex digits.
const (
	traceKey = "trace_id"
	spanKey  = "span_id"
)

// traced adds the ids of the span, or of the sender's span where the broker has
// none, to what is logged with its context. Whoever logs without a context, or
// in a group, gets lines without them, or with them in the group.
type traced struct{ slog.Handler }

// Handle implements [slog.Handler]. Without a span it costs a look into the
// context.
func (h traced) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		r = r.Clone() // others may hold the record too
		r.AddAttrs(slog.String(traceKey, span.TraceID().String()), slog.String(spanKey, span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (h traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{h.Handler.WithAttrs(attrs)} }

// WithGroup implements [slog.Handler].
func (h traced) WithGroup(name string) slog.Handler { return traced{h.Handler.WithGroup(name)} }

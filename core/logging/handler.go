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

// handler leaves secrets out, and adds the ids of the span, or of the sender's
// span where the broker has none, to what is logged with its context. Whoever
// logs without a context gets lines without them, and whoever logs in a group
// gets them in the group.
//
// A line that has neither a span nor a value that must be looked into is handed
// on as it is.
type handler struct{ slog.Handler }

// Handle implements [slog.Handler].
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() && !suspicious(r) {
		return h.Handler.Handle(ctx, r)
	}
	line := slog.NewRecord(r.Time, r.Level, withoutPassword(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		line.AddAttrs(harmless(a))
		return true
	})
	if span.IsValid() {
		line.AddAttrs(slog.String(traceKey, span.TraceID().String()), slog.String(spanKey, span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, line)
}

// suspicious reports whether a record has something that harmless may change.
func suspicious(r slog.Record) bool {
	found := mayHavePassword(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		switch a.Value.Kind() {
		case slog.KindString:
			found = mayHavePassword(a.Value.String())
		case slog.KindAny, slog.KindGroup, slog.KindLogValuer:
			found = true
		default: // numbers and times
		}
		return !found
	})
	return found
}

// WithAttrs implements [slog.Handler].
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	safe := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		safe[i] = harmless(a)
	}
	return handler{h.Handler.WithAttrs(safe)}
}

// WithGroup implements [slog.Handler].
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }

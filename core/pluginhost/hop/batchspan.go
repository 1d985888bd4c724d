package hop

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// traced is what the span of a batch says of its envelopes: the batch outlives
// them.
type traced struct {
	links  []trace.Link  // to the span of each that is sampled
	queued time.Duration // of the oldest
}

// tracedOf returns what the span of a batch will say, nil when no envelope of it
// is sampled or nobody makes spans of batches. A batch has fewer envelopes than a
// span may have links (128, as OpenTelemetry has it).
func (h *Hop) tracedOf(f *flight) (t *traced) {
	if h.o.Tracer == nil {
		return nil
	}
	for _, c := range f.calls {
		if !c.span.IsSampled() {
			continue
		}
		if t == nil {
			t = new(traced)
		}
		t.links = append(t.links, trace.Link{SpanContext: c.span})
	}
	if t != nil {
		for _, c := range f.calls {
			t.queued = max(t.queued, f.sent.Sub(c.at))
		}
	}
	return t
}

// landing is the end of a batch that has a span.
type landing struct {
	f      *flight
	at     time.Time
	judged time.Duration // as the plugin says; 0: it does not
	err    error         // why nothing of it counts; nil when it was answered
}

// failBatch keeps the end of a batch that nobody answered, for when the lock is
// free.
func (h *Hop) failBatch(f *flight, err error) {
	if f.traced != nil {
		h.landings = append(h.landings, landing{f: f, at: time.Now(), err: err})
	}
}

// record makes the span of a batch that has ended. It is a root: a batch belongs to
// the traces of all its envelopes. The lock is not held.
func (h *Hop) record(l landing) {
	f := l.f
	crossing := l.at.Sub(f.sent)
	_, span := h.o.Tracer.Start(context.Background(), "batch/"+h.o.Link,
		trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(f.sent), trace.WithLinks(f.traced.links...),
		trace.WithAttributes(
			attribute.String("messaging.system", "claudemesh"),
			attribute.Int("messaging.batch.message_count", f.n),
			attribute.String("claudemesh.link", h.o.Link),
			attribute.Float64("claudemesh.batch.queue_seconds", f.traced.queued.Seconds()),
		))
	if judged := min(l.judged, crossing); judged > 0 {
		span.SetAttributes(
			attribute.Float64("claudemesh.batch.plugin_seconds", judged.Seconds()),
			attribute.Float64("claudemesh.batch.wire_seconds", (crossing-judged).Seconds()),
		)
	}
	if l.err != nil {
		word := "error"
		if e, ok := errors.AsType[*Error](l.err); ok {
			word = e.ErrorType()
		}
		span.SetAttributes(attribute.String("error.type", word))
		span.SetStatus(codes.Error, word)
	}
	span.End(trace.WithTimestamp(l.at))
}

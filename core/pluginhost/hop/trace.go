package hop

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
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

// recent are the traces that a plugin was asked about lately, and the spans that
// it was told as parents. A plugin adds spans to no other trace: ids are random,
// so it has to have been told one. All methods may be called concurrently.
type recent struct {
	mu     sync.Mutex
	now    map[place]struct{}
	before map[place]struct{}
	since  time.Time // when now began
}

// place is a span in its trace, or with the zero span the trace.
type place struct {
	trace trace.TraceID
	span  trace.SpanID
}

const (
	recentFor  = time.Minute // a place is known for this long, and at most twice as long
	mostRecent = 16384       // of these, two for an envelope; beyond them the oldest are forgotten sooner
)

func (r *recent) add(c trace.SpanContext, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	if len(r.now)+2 > mostRecent {
		r.before, r.now, r.since = r.now, nil, now
	}
	if r.now == nil {
		r.now = make(map[place]struct{})
	}
	r.now[place{trace: c.TraceID()}] = struct{}{}
	r.now[place{c.TraceID(), c.SpanID()}] = struct{}{}
}

// knows reports whether the plugin was asked about a trace.
func (r *recent) knows(id trace.TraceID, now time.Time) bool { return r.has(place{trace: id}, now) }

// told reports whether the plugin was told a span as a parent.
func (r *recent) told(id trace.TraceID, span trace.SpanID, now time.Time) bool {
	return r.has(place{id, span}, now)
}

func (r *recent) has(p place, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	_, known := r.now[p]
	if !known {
		_, known = r.before[p]
	}
	return known
}

// turn forgets what is too old.
func (r *recent) turn(now time.Time) {
	switch age := now.Sub(r.since); {
	case age >= 2*recentFor:
		r.before, r.now, r.since = nil, nil, now
	case age >= recentFor:
		r.before, r.now, r.since = r.now, nil, now
	}
}

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

// record makes the span of a batch that has ended. It is a root: a batch belongs to the traces of all its envelopes. The lock is not
// held.
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

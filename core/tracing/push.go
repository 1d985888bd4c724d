package tracing

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// Push is one push of a message to a session.
type Push struct {
	Trace  string    // the message's traceparent
	Since  time.Time // since when it could have been pushed: its acceptance, or the push before
	At     time.Time // when it was put into the session's outbox
	Stored bool      // it was read from the queue
	Tries  int       // pushes before this one to the same connection
}

// Pushed adds the span of a push of a message that is traced, and returns what
// its confirmation belongs to. The nil Tracer returns nil.
func (t *Tracer) Pushed(p Push) *Pushed {
	if t == nil {
		return nil
	}
	if p.Since.After(p.At) { // it was accepted by a clock that is ahead
		p.Since = p.At
	}
	ctx := trace.ContextWithRemoteSpanContext(context.Background(), parse(p.Trace))
	ctx, span := t.spans.Start(ctx, "push", trace.WithTimestamp(p.Since), trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(attribute.Bool("claudemesh.from_queue", p.Stored), attribute.Int("claudemesh.push.repeats", p.Tries)))
	span.End(trace.WithTimestamp(p.At))
	return &Pushed{tracer: t, ctx: ctx, at: p.At}
}

// Pushed is a push whose confirmation is to come. The nil Pushed is that of a
// message that is not traced.
type Pushed struct {
	tracer *Tracer
	ctx    context.Context
	at     time.Time
}

// How a push is confirmed.
const (
	ByAck  = "client_ack"
	ByPong = "pong"
)

// Confirmed adds the span of a confirmation, which ends now. It is called at
// most once.
func (p *Pushed) Confirmed(by string) {
	if p == nil {
		return
	}
	_, span := p.tracer.spans.Start(p.ctx, "confirm", trace.WithTimestamp(p.at),
		trace.WithAttributes(attribute.String("claudemesh.confirmed_by", by)))
	span.End()
}

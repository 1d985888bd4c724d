package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/telemetry/receiver"
)

// scope is the name of what makes the broker's spans.
const scope = "github.com/claudemesh/broker"

// Provider is tracing from the decision to the receiver. The nil Provider traces
// nothing.
type Provider struct {
	tracer   *Tracer
	provider *sdktrace.TracerProvider
	queue    *queue
	stopped  atomic.Bool
}

// Start begins to send spans where the config and the variables OTEL_* say, and
// returns nil, without an error, when they say nowhere. The receiver need not be
// there: spans that it does not take are dropped and counted. res says who sends.
// The caller stops the provider after the last span.
func Start(ctx context.Context, c config.Telemetry, env receiver.Environment, res *resource.Resource, version string, log *slog.Logger) (*Provider, error) {
	to, sent, err := receiverOf(c.Traces, env, log)
	if err != nil || !sent {
		return nil, err
	}
	sampling, err := ParseSampling(env("OTEL_TRACES_SAMPLER"), env("OTEL_TRACES_SAMPLER_ARG"), c.Traces.Ratio)
	if err != nil {
		return nil, err
	}
	exporter, err := exporterTo(ctx, to)
	if err != nil {
		return nil, fmt.Errorf("telemetry.traces: %w", err)
	}
	p := &Provider{queue: newQueue(exporter, to, env, log)}
	p.provider = sdktrace.NewTracerProvider(
		sdktrace.WithResource(res), sdktrace.WithSampler(sdktrace.AlwaysSample()), sdktrace.WithSpanProcessor(p.queue),
	)
	p.tracer = New(p.provider.Tracer(scope, trace.WithInstrumentationVersion(version)), Options{
		Sampling: sampling, Peers: c.Traces.Peers, Refused: c.Traces.Refused, Names: c.Names,
	})
	return p, nil
}

// Spans returns a tracer for whoever makes spans of its own below an envelope's;
// nil when nothing is traced.
func (p *Provider) Spans() trace.Tracer {
	if p == nil {
		return nil
	}
	return p.provider.Tracer(scope)
}

// Processor takes spans that were made elsewhere, such as in a plugin; nil when
// nothing is traced.
func (p *Provider) Processor() sdktrace.SpanProcessor {
	if p == nil {
		return nil
	}
	return p.queue
}

// Envelopes returns what traces envelopes, nil when nothing is traced.
func (p *Provider) Envelopes() *Tracer {
	if p == nil {
		return nil
	}
	return p.tracer
}

// Spans counted by what became of them.
type Spans struct {
	Sent    int64 // the receiver took them
	Failed  int64 // it did not
	Dropped int64 // too many waited for it
}

// Counts returns what became of spans so far. When the provider was stopped,
// what was left then counts as dropped.
func (p *Provider) Counts() (c Spans) {
	if p == nil {
		return c
	}
	q := p.queue
	c = Spans{Sent: q.exporter.sent.Load(), Failed: q.exporter.failed.Load(), Dropped: q.dropped.Load()}
	if p.stopped.Load() {
		c.Dropped += q.took.Load() - c.Sent - c.Failed
	}
	return c
}

// Stop sends what is left, as far as ctx allows.
func (p *Provider) Stop(ctx context.Context) error {
	if p == nil {
		return nil
	}
	defer p.stopped.Store(true)
	return p.provider.Shutdown(ctx)
}

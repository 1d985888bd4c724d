package tracing_test

import (
	"context"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/tracing"
	"github.com/claudemesh/broker/sdk"
)

// discard is a receiver that is never behind.
type discard struct{}

func (discard) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (discard) Shutdown(context.Context) error                             { return nil }

// BenchmarkEnvelope is all that tracing does for one message: its own span, six
// stages, a transaction, a push and a confirmation.
func BenchmarkEnvelope(b *testing.B) {
	for _, bench := range []struct {
		name  string
		ratio float64
	}{{"off", -1}, {"at=0", 0}, {"at=0.01", 0.01}, {"at=1", 1}} {
		b.Run(bench.name, func(b *testing.B) {
			var tracer *tracing.Tracer
			if bench.ratio >= 0 {
				p := sdktrace.NewTracerProvider(sdktrace.WithBatcher(discard{}), sdktrace.WithSampler(sdktrace.AlwaysSample()))
				defer func() { _ = p.Shutdown(context.Background()) }()
				tracer = tracing.New(p.Tracer("bench"), tracing.Options{Sampling: tracing.Sampling{Ratio: bench.ratio, Follow: true}})
			}
			env := envelope("")
			env.MessageID = "0123456789abcdef0123456789abcdef"
			out := sdk.Outcome{Decision: sdk.Decision{Verdict: sdk.Answer}, Stage: "route", Recipients: 1, Pushed: 1}
			link := new(chain.Link)
			b.ReportAllocs()
			for b.Loop() {
				env.Trace = ""
				trail := tracer.Begin(env, member)
				ctx := trail.Context()
				if probe := tracer.Probe(ctx, env); probe != nil {
					for range 6 {
						probe.Leave(probe.Enter(ctx, link), link, sdk.Next(), nil, 0)
					}
				}
				trail.Committed(env.Arrived, nil)
				if trail != nil {
					tracer.Pushed(tracing.Push{Trace: env.Trace, Since: env.Arrived, At: time.Now()}).Confirmed(tracing.ByPong)
				}
				trail.End(env, out)
			}
		})
	}
}

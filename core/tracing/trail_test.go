package tracing

import (
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/sdk"
)

// The span of a stage lasts as long as the stage took, although its verdict may
// have waited for its turn.
func TestSpanOfAStageEndsWithItsVerdict(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	env := &sdk.Envelope{Kind: sdk.KindSend, Arrived: time.Now()}
	trail := New(provider.Tracer("test"), Options{}).open(t.Context(), env, "send")
	for _, took := range []time.Duration{0, time.Microsecond, time.Hour} {
		trail.Leave(trail.Enter(trail.Context(), new(chain.Link)), nil, sdk.Next(), nil, took)
		list := spans.Ended()
		if s := list[len(list)-1]; s.EndTime().Sub(s.StartTime()) != took {
			t.Errorf("it lasted %v, want %v", s.EndTime().Sub(s.StartTime()), took)
		}
	}
}

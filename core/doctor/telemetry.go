package doctor

import (
	"context"

	"github.com/claudemesh/broker/core/telemetry/otlp"
	"github.com/claudemesh/broker/core/tracing"
)

// telemetry asks the receivers of traces and of metrics whether they take what is
// sent there. It only ever warns of one that does not: the broker works without.
func (r *round) telemetry(ctx context.Context) {
	c := r.Config.Telemetry
	traces := r.receiver(ctx, "traces", func(ctx context.Context) (string, error) { return tracing.Ask(ctx, c.Traces, r.variable) })
	metrics := r.receiver(ctx, "metrics", func(ctx context.Context) (string, error) { return otlp.Ask(ctx, c.Metrics, r.variable) })
	if !traces && !metrics {
		r.ok(CheckTelemetry, "neither traces nor metrics are sent")
	}
}

// receiver reports on where something is sent, unless it is not sent.
func (r *round) receiver(ctx context.Context, what string, ask func(context.Context) (to string, err error)) bool {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	began := r.Machine.Now()
	to, err := ask(ctx)
	switch {
	case to == "" && err == nil:
		return false
	case to == "":
		r.fail(CheckTelemetry, "mend the variable, or take it away so that telemetry."+what+" holds", "%s: %v", what, err)
	case err != nil:
		r.warn(CheckTelemetry, "look whether the receiver runs there and takes "+what+" by this protocol, or mend telemetry."+what+" and the variables OTEL_*, which win over it",
			"%s are lost: %s: %v", what, to, err)
	default:
		r.ok(CheckTelemetry, "%s are taken by %s in %v", what, to, r.since(began))
	}
	return true
}

func (r *round) variable(name string) string {
	value, _ := r.Machine.Lookenv(name)
	return value
}

// Package otlp sends what the broker counts to a receiver of OTLP, under the
// names that /metrics has.
package otlp

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/telemetry"
	"github.com/claudemesh/broker/core/telemetry/receiver"
)

// scope names who counted, in every export.
const scope = "github.com/claudemesh/broker"

// Options say what is sent, and where.
//
// The standard variables win over Config: OTEL_SDK_DISABLED, OTEL_METRICS_EXPORTER,
// OTEL_METRIC_EXPORT_INTERVAL and _TIMEOUT, and OTEL_EXPORTER_OTLP_* with
// OTEL_EXPORTER_OTLP_METRICS_* for endpoint, protocol, headers, time limit,
// compression and certificates.
type Options struct {
	Config      config.MetricsExport
	Environment receiver.Environment // the process's: exporters read some variables there themselves
	Resource    *resource.Resource
	Collect     func(telemetry.Sink) // may be called at any time until stop has returned
	Started     time.Time            // since when counters count
	Version     string
	Log         *slog.Logger
}

// Start sends metrics from time to time until stop is called, which sends them
// once more, as far as its ctx allows. It waits for no receiver: one that is away
// is logged when it goes and when it is back. Without a reason to send anything it
// does nothing, and neither does stop.
func Start(ctx context.Context, o Options) (stop func(context.Context) error, err error) {
	to, sent, err := receiverOf(o.Config, o.Environment, o.Log)
	if err != nil {
		return nil, err
	}
	if !sent {
		return func(context.Context) error { return nil }, nil
	}
	exporter, err := exporterTo(ctx, to, false)
	if err != nil {
		return nil, fmt.Errorf("send metrics: %w", err)
	}
	reading := []metric.PeriodicReaderOption{metric.WithProducer(producer{o})}
	if o.Environment("OTEL_METRIC_EXPORT_INTERVAL") == "" {
		reading = append(reading, metric.WithInterval(o.Config.Interval))
	}
	p := &patient{Exporter: exporter, log: o.Log}
	reader := metric.NewPeriodicReader(p, reading...)
	provider := metric.NewMeterProvider(metric.WithReader(reader), metric.WithResource(o.Resource))
	return p.stopWith(provider.Shutdown), nil
}

// producer reads the counters when the reader asks.
type producer struct{ Options }

// Produce implements [metric.Producer].
func (p producer) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	points := &points{start: p.Started, now: time.Now()}
	p.Collect(points)
	return []metricdata.ScopeMetrics{{
		Scope: instrumentation.Scope{Name: scope, Version: p.Version}, Metrics: points.metrics,
	}}, nil
}

// Package otlp sends what the broker counts to a receiver of OTLP, under the
// names that /metrics has.
package otlp

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/telemetry"
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
	Config   config.MetricsExport
	Resource *resource.Resource
	Collect  func(telemetry.Sink) // may be called at any time until stop has returned
	Started  time.Time            // since when counters count
	Version  string
	Log      *slog.Logger
}

// Start sends metrics from time to time until stop is called, which sends them
// once more, as far as its ctx allows. It waits for no receiver: one that is away
// is logged when it goes and when it is back. Without a reason to send anything it
// does nothing, and neither does stop.
func Start(ctx context.Context, o Options) (stop func(context.Context) error, err error) {
	if !o.wanted() {
		return func(context.Context) error { return nil }, nil
	}
	exporter, err := o.exporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("send metrics: %w", err)
	}
	reading := []metric.PeriodicReaderOption{metric.WithProducer(producer{o})}
	if os.Getenv("OTEL_METRIC_EXPORT_INTERVAL") == "" {
		reading = append(reading, metric.WithInterval(o.Config.Interval))
	}
	p := &patient{Exporter: exporter, log: o.Log}
	reader := metric.NewPeriodicReader(p, reading...)
	provider := metric.NewMeterProvider(metric.WithReader(reader), metric.WithResource(o.Resource))
	return p.stopWith(provider.Shutdown), nil
}

// wanted reports whether metrics are sent at all.
func (o Options) wanted() bool {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	if names := os.Getenv("OTEL_METRICS_EXPORTER"); names != "" {
		sends := false
		for name := range strings.SplitSeq(names, ",") {
			switch strings.TrimSpace(name) {
			case "otlp":
				sends = true
			case "none", "prometheus": // /metrics is there all the same
			default:
				o.Log.Warn("OTEL_METRICS_EXPORTER names an exporter that this broker has not: use otlp or none", slog.String("name", name))
			}
		}
		return sends
	}
	if o.Config.Export != config.ExportAuto {
		return o.Config.Export == config.ExportOTLP
	}
	return o.Config.Endpoint != "" || os.Getenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") != ""
}

// exporter makes what talks to the receiver. It reads the variables itself;
// options would win over them, so the config's endpoint is one only where no
// variable names another.
func (o Options) exporter(ctx context.Context) (metric.Exporter, error) {
	protocol := config.Protocol(variable("PROTOCOL"))
	if protocol == "" {
		protocol = o.Config.Protocol
	}
	endpoint := o.Config.Endpoint
	if variable("ENDPOINT") != "" {
		endpoint = ""
	}
	switch protocol {
	case config.ProtocolGRPC:
		var options []otlpmetricgrpc.Option
		if endpoint != "" {
			options = append(options, otlpmetricgrpc.WithEndpointURL(endpoint))
		}
		return otlpmetricgrpc.New(ctx, options...)
	case config.ProtocolHTTP:
		var options []otlpmetrichttp.Option
		if endpoint != "" {
			options = append(options, otlpmetrichttp.WithEndpointURL(strings.TrimSuffix(endpoint, "/")+"/v1/metrics"))
		}
		return otlpmetrichttp.New(ctx, options...)
	default:
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL and OTEL_EXPORTER_OTLP_PROTOCOL must be grpc or http/protobuf; got %q", protocol)
	}
}

// variable returns a variable of OTLP for metrics, or else for everything.
func variable(name string) string {
	if v := os.Getenv("OTEL_EXPORTER_OTLP_METRICS_" + name); v != "" {
		return v
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_" + name)
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

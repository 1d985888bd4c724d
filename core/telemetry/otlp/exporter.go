package otlp

import (
	"context"
	"errors"
	"log/slog"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/telemetry/receiver"
)

func receiverOf(c config.MetricsExport, env receiver.Environment, log *slog.Logger) (receiver.Receiver, bool, error) {
	return receiver.Of(receiver.Metrics, receiver.Config{Export: c.Export, Endpoint: c.Endpoint, Protocol: c.Protocol}, env, log)
}

// exporterTo makes what talks to a receiver. It repeats for a while what is not
// taken, unless it shall try only once.
func exporterTo(ctx context.Context, to receiver.Receiver, once bool) (metric.Exporter, error) {
	if to.Protocol == config.ProtocolGRPC {
		var o []otlpmetricgrpc.Option
		if to.URL != "" {
			o = append(o, otlpmetricgrpc.WithEndpointURL(to.URL))
		}
		if once {
			o = append(o, otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{}))
		}
		return otlpmetricgrpc.New(ctx, o...)
	}
	var o []otlpmetrichttp.Option
	if to.URL != "" {
		o = append(o, otlpmetrichttp.WithEndpointURL(to.URL))
	}
	if once {
		o = append(o, otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{}))
	}
	return otlpmetrichttp.New(ctx, o...)
}

// Ask sends a request without metrics to where [Start] would send them, once, and
// returns who took it or did not; to is empty when no metrics are sent. An error
// with an empty to is one that Start would return.
func Ask(ctx context.Context, c config.MetricsExport, env receiver.Environment) (to string, err error) {
	r, sent, err := receiverOf(c, env, slog.New(slog.DiscardHandler))
	if err != nil || !sent {
		return "", err
	}
	exporter, err := exporterTo(ctx, r, true)
	if err != nil {
		return "", err
	}
	err = exporter.Export(ctx, &metricdata.ResourceMetrics{Resource: resource.Empty()})
	return r.String(), errors.Join(err, exporter.Shutdown(ctx))
}

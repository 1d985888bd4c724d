package tracing

import (
	"context"
	"errors"
	"log/slog"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	pb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/telemetry/receiver"
)

func receiverOf(c config.Traces, env receiver.Environment, log *slog.Logger) (receiver.Receiver, bool, error) {
	return receiver.Of(receiver.Traces, receiver.Config{Export: c.Export, Endpoint: c.Endpoint, Protocol: c.Protocol}, env, log)
}

func exporterTo(ctx context.Context, to receiver.Receiver) (sdktrace.SpanExporter, error) {
	if to.Protocol == config.ProtocolGRPC {
		return otlptracegrpc.New(ctx, grpcOptions(to)...)
	}
	return otlptracehttp.New(ctx, httpOptions(to)...)
}

func grpcOptions(to receiver.Receiver) (o []otlptracegrpc.Option) {
	if to.URL != "" {
		o = append(o, otlptracegrpc.WithEndpointURL(to.URL))
	}
	return o
}

func httpOptions(to receiver.Receiver) (o []otlptracehttp.Option) {
	if to.URL != "" {
		o = append(o, otlptracehttp.WithEndpointURL(to.URL))
	}
	return o
}

// client is what an exporter sends with.
type client interface {
	Start(ctx context.Context) error
	UploadTraces(ctx context.Context, spans []*pb.ResourceSpans) error
	Stop(ctx context.Context) error
}

// Ask sends a request without spans to where [Start] would send spans, once, and
// returns who took it or did not; to is empty when no spans are sent. An error
// with an empty to is one that Start would return.
func Ask(ctx context.Context, c config.Traces, env receiver.Environment) (to string, err error) {
	r, sent, err := receiverOf(c, env, slog.New(slog.DiscardHandler))
	if err != nil || !sent {
		return "", err
	}
	var asked client
	if r.Protocol == config.ProtocolGRPC {
		asked = otlptracegrpc.NewClient(append(grpcOptions(r), otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{}))...)
	} else {
		asked = otlptracehttp.NewClient(append(httpOptions(r), otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}))...)
	}
	if err := asked.Start(ctx); err != nil {
		return "", err
	}
	return r.String(), errors.Join(asked.UploadTraces(ctx, nil), asked.Stop(ctx))
}

package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/claudemesh/broker/core/config"
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

// Environment reads a variable, as os.Getenv does.
type Environment func(name string) string

// Start begins to send spans where the config and the variables OTEL_* say, and
// returns nil, without an error, when they say nowhere. The receiver need not be
// there: spans that it does not take are dropped and counted. res says who sends.
// The caller stops the provider after the last span.
func Start(ctx context.Context, c config.Telemetry, env Environment, res *resource.Resource, version string, log *slog.Logger) (*Provider, error) {
	if !wanted(c.Traces, env, log) {
		return nil, nil //nolint:nilnil // the nil Provider traces nothing
	}
	sampling, err := ParseSampling(env("OTEL_TRACES_SAMPLER"), env("OTEL_TRACES_SAMPLER_ARG"), c.Traces.Ratio)
	if err != nil {
		return nil, err
	}
	to, err := receiverOf(c.Traces, env)
	if err != nil {
		return nil, err
	}
	exporter, err := to.exporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("telemetry.traces: %w", err)
	}
	p := &Provider{queue: newQueue(exporter, to.attr(), env, log)}
	p.provider = sdktrace.NewTracerProvider(
		sdktrace.WithResource(res), sdktrace.WithSampler(sdktrace.AlwaysSample()), sdktrace.WithSpanProcessor(p.queue),
	)
	p.tracer = New(p.provider.Tracer(scope, trace.WithInstrumentationVersion(version)), Options{
		Sampling: sampling, Peers: c.Traces.Peers, Refused: c.Traces.Refused, Names: c.Names,
	})
	return p, nil
}

// wanted reports whether spans are sent at all.
func wanted(c config.Traces, env Environment, log *slog.Logger) bool {
	if strings.EqualFold(env("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	if names := env("OTEL_TRACES_EXPORTER"); names != "" {
		return sends(names, log)
	}
	if c.Export != config.ExportAuto {
		return c.Export == config.ExportOTLP
	}
	return first(env, endpointVariables()...) != "" || c.Endpoint != ""
}

// sends reports whether a list of exporters has ours.
func sends(names string, log *slog.Logger) (otlp bool) {
	for name := range strings.SplitSeq(names, ",") {
		switch strings.TrimSpace(name) {
		case "otlp":
			otlp = true
		case "none":
		default:
			log.Warn("OTEL_TRACES_EXPORTER names an exporter that this broker has not: use otlp or none", slog.String("name", name))
		}
	}
	return otlp
}

// receiver is where spans go. The exporters read the variables themselves; the
// config's endpoint counts where no variable names one.
type receiver struct {
	protocol config.Protocol
	endpoint string // of the config; empty: a variable's, or the standard port
	shown    string // where that is, for the log
}

func receiverOf(c config.Traces, env Environment) (r receiver, err error) {
	r = receiver{protocol: c.Protocol, endpoint: c.Endpoint, shown: c.Endpoint}
	if name := first(env, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"); name != "" {
		r.protocol = config.Protocol(name)
	}
	if text := first(env, endpointVariables()...); text != "" {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return r, errors.New("OTEL_EXPORTER_OTLP_ENDPOINT must be a URL such as http://127.0.0.1:4318")
		}
		r.endpoint, r.shown = "", u.Scheme+"://"+u.Host
	}
	return r, nil
}

// attr names the receiver in a line of the log.
func (r receiver) attr() slog.Attr {
	shown := r.shown
	if shown == "" {
		shown = "the standard port of this machine"
	}
	return slog.String("receiver", shown+" by "+string(r.protocol))
}

func (r receiver) exporter(ctx context.Context) (sdktrace.SpanExporter, error) {
	switch r.protocol {
	case config.ProtocolGRPC:
		var o []otlptracegrpc.Option
		if r.endpoint != "" {
			o = append(o, otlptracegrpc.WithEndpointURL(r.endpoint))
		}
		return otlptracegrpc.New(ctx, o...)
	case config.ProtocolHTTP:
		var o []otlptracehttp.Option
		if r.endpoint != "" {
			o = append(o, otlptracehttp.WithEndpointURL(strings.TrimSuffix(r.endpoint, "/")+"/v1/traces"))
		}
		return otlptracehttp.New(ctx, o...)
	default:
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL must be grpc or http/protobuf; got %q", r.protocol)
	}
}

func endpointVariables() []string {
	return []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"}
}

// first returns the first variable that is set.
func first(env Environment, names ...string) string {
	for _, name := range names {
		if v := env(name); v != "" {
			return v
		}
	}
	return ""
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

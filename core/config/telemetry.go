package config

import (
	"net/url"
	"time"
)

// Telemetry says where traces and metrics are sent. Every broker also shows its
// metrics at /metrics.
//
// The standard variables OTEL_* win over the file, as all variables do.
type Telemetry struct {
	Service string        `koanf:"service" doc:"service.name of everything that is sent"`
	Names   bool          `koanf:"names" doc:"put names and ids of members and the ids of meshes into spans. Without it a span says what was asked and what became of it, not by whom. Keys, tokens and bodies are never in a span"`
	Traces  Traces        `koanf:"traces" doc:"spans of envelopes, sent by OTLP"`
	Metrics MetricsExport `koanf:"metrics" doc:"what /metrics shows, sent by OTLP as well"`
}

// Export says whether something is sent.
type Export string

// Ways to decide whether something is sent.
const (
	ExportAuto Export = "auto" // when an endpoint is set
	ExportOTLP Export = "otlp"
	ExportNone Export = "none"
)

// Protocol is how OTLP travels.
type Protocol string

// Protocols of OTLP.
const (
	ProtocolHTTP Protocol = "http/protobuf"
	ProtocolGRPC Protocol = "grpc"
)

// Traces says which envelopes are traced, and where the spans go.
type Traces struct {
	Export   Export   `koanf:"export" one:"auto|otlp|none" doc:"auto: send when endpoint or OTEL_EXPORTER_OTLP_ENDPOINT is set. otlp: send, to the standard port of this machine when neither is. none: no spans"`
	Endpoint string   `koanf:"endpoint" doc:"URL of the receiver, such as http://127.0.0.1:4318, for http/protobuf without the path /v1/traces. https is encrypted, http is not"`
	Protocol Protocol `koanf:"protocol" one:"http/protobuf|grpc" doc:"how OTLP travels"`
	Ratio    float64  `koanf:"ratio" limit:"0..1" doc:"part of the envelopes that start a trace here, of those whose sender sends no trace context: 0.01 is one in a hundred. OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG win over it"`
	Peers    Limit    `koanf:"peers" doc:"traces that members may begin: a rate such as 100/s over all of them, or off for no limit. Beyond it their trace context is handed on, and the broker adds no spans. Requests over HTTP and hellos, whose sender is not known yet, get a tenth of it"`
	Refused  Limit    `koanf:"refused" doc:"refused and failed envelopes that are not traced get a span all the same, up to a rate such as 10/s; off for no limit"`
}

// MetricsExport says whether metrics are sent.
type MetricsExport struct {
	Export   Export        `koanf:"export" one:"auto|otlp|none" doc:"auto: send when endpoint or OTEL_EXPORTER_OTLP_METRICS_ENDPOINT is set. otlp: send, to the standard port of this machine when neither is. none: /metrics alone"`
	Endpoint string        `koanf:"endpoint" doc:"URL of the receiver, such as http://127.0.0.1:4318, for http/protobuf without the path /v1/metrics"`
	Protocol Protocol      `koanf:"protocol" one:"http/protobuf|grpc" doc:"how OTLP travels"`
	Interval time.Duration `koanf:"interval" limit:"1s..1h" doc:"how often they are sent"`
}

func defaultTelemetry() Telemetry {
	return Telemetry{
		Service: "claudemesh-broker",
		Traces: Traces{
			Export: ExportAuto, Protocol: ProtocolHTTP, Ratio: 0.01,
			Peers: Limit{Rate{100, time.Second}}, Refused: Limit{Rate{10, time.Second}},
		},
		Metrics: MetricsExport{Export: ExportAuto, Protocol: ProtocolHTTP, Interval: time.Minute},
	}
}

func (l *loader) telemetry(c *Config) {
	for key, text := range map[string]string{
		"telemetry.traces.endpoint":  c.Telemetry.Traces.Endpoint,
		"telemetry.metrics.endpoint": c.Telemetry.Metrics.Endpoint,
	} {
		if text == "" {
			continue
		}
		if u, err := url.Parse(text); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			l.invalid([]string{key}, "must be a URL such as http://127.0.0.1:4318 or https://otlp.example.org, without a user: headers with a token belong into OTEL_EXPORTER_OTLP_HEADERS")
		}
	}
	if c.Telemetry.Service == "" {
		l.invalid([]string{"telemetry.service"}, "must be a name: traces of a service without one cannot be found")
	}
}

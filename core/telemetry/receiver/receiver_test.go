package receiver_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/telemetry/receiver"
)

const (
	auto = config.ExportAuto
	otlp = config.ExportOTLP
	off  = config.ExportNone
)

func TestOf(t *testing.T) {
	t.Parallel()
	const (
		http = config.ProtocolHTTP
		grpc = config.ProtocolGRPC
		at   = "http://127.0.0.1:4318"
		far  = "https://otlp.example.org/base/"
	)
	tests := []struct {
		name      string
		kind      receiver.Kind
		config    receiver.Config
		variables string // NAME=value, with spaces between
		url       string
		shown     string // empty: nothing is sent
	}{
		{"nothing is sent without a word", receiver.Traces, says(auto, "", http), "", "", ""},
		{"traces have their path", receiver.Traces, says(auto, at, http), "", at + "/v1/traces", at + " by http/protobuf"},
		{"metrics have theirs", receiver.Metrics, says(auto, far, http), "", "https://otlp.example.org/base/v1/metrics", far + " by http/protobuf"},
		{"gRPC has none", receiver.Traces, says(auto, at, grpc), "", at, at + " by grpc"},
		{"the standard port", receiver.Metrics, says(otlp, "", grpc), "", "", "the standard port of this machine by grpc"},
		{"the config says no", receiver.Traces, says(off, at, http), "", "", ""},
		{"a variable says no", receiver.Traces, says(otlp, at, http), "OTEL_TRACES_EXPORTER=none", "", ""},
		{"a variable says no of everything", receiver.Metrics, says(otlp, at, http), "OTEL_SDK_DISABLED=True", "", ""},
		{"a variable says yes", receiver.Metrics, says(off, at, http), "OTEL_METRICS_EXPORTER=prometheus,otlp", at + "/v1/metrics", at + " by http/protobuf"},
		{"one for traces is not for metrics", receiver.Metrics, says(off, at, http), "OTEL_TRACES_EXPORTER=otlp", "", ""},
		{"a receiver of everything starts traces", receiver.Traces, says(auto, at, http), "OTEL_EXPORTER_OTLP_ENDPOINT=http://u:p@tempo:1/x", "", "http://tempo:1 by http/protobuf"},
		{"and no metrics", receiver.Metrics, says(auto, "", http), "OTEL_EXPORTER_OTLP_ENDPOINT=http://tempo:1", "", ""},
		{"but metrics that start go there", receiver.Metrics, says(auto, at, http), "OTEL_EXPORTER_OTLP_ENDPOINT=http://tempo:1", "", "http://tempo:1 by http/protobuf"},
		{"a receiver of metrics starts them", receiver.Metrics, says(auto, "", http), "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://mimir:1", "", "http://mimir:1 by http/protobuf"},
		{
			"what is for one kind wins", receiver.Traces, says(auto, at, http),
			"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=grpc OTEL_EXPORTER_OTLP_ENDPOINT=http://a:1 OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://b:1",
			"", "http://b:1 by grpc",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, sent, err := receiver.Of(tt.kind, tt.config, environment(tt.variables), slog.New(slog.DiscardHandler))
			if err != nil || sent != (tt.shown != "") {
				t.Fatalf("sent is %v, %v; want to %q", sent, err, tt.shown)
			}
			if sent && (r.URL != tt.url || r.String() != tt.shown) {
				t.Errorf("it is %q, shown as %q; want %q, shown as %q", r.URL, r, tt.url, tt.shown)
			}
		})
	}
}

// An error says which variable has to be mended, and not what may be secret in it.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for variables, want := range map[string]string{
		"OTEL_EXPORTER_OTLP_PROTOCOL=http/json":                 `OTEL_EXPORTER_OTLP_PROTOCOL must be grpc or http/protobuf; got "http/json"`,
		"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=json":              `OTEL_EXPORTER_OTLP_METRICS_PROTOCOL must be grpc or http/protobuf; got "json"`,
		"OTEL_EXPORTER_OTLP_ENDPOINT=tempo:4318":                "OTEL_EXPORTER_OTLP_ENDPOINT must be a URL such as http://127.0.0.1:4318",
		"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=ftp://u:secret@h/": "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT must be a URL such as http://127.0.0.1:4318",
	} {
		c := receiver.Config{Export: otlp, Protocol: config.ProtocolHTTP}
		if _, sent, err := receiver.Of(receiver.Metrics, c, environment(variables), slog.New(slog.DiscardHandler)); err == nil || sent || err.Error() != want {
			t.Errorf("%s: the error is %v, want %s", variables, err, want)
		}
	}
}

// An exporter that is not there is told of, by the variable that names it.
func TestUnknownExporter(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	c := receiver.Config{Export: otlp, Protocol: config.ProtocolHTTP}
	_, sent, err := receiver.Of(receiver.Traces, c, environment("OTEL_TRACES_EXPORTER=prometheus"), slog.New(slog.NewTextHandler(&log, nil)))
	if sent || err != nil || !strings.Contains(log.String(), "variable=OTEL_TRACES_EXPORTER name=prometheus") {
		t.Errorf("sent is %v, %v, and the log says %q", sent, err, &log)
	}
}

func says(export config.Export, endpoint string, protocol config.Protocol) receiver.Config {
	return receiver.Config{Export: export, Endpoint: endpoint, Protocol: protocol}
}

// environment has these variables, each NAME=value.
func environment(variables string) receiver.Environment {
	values := map[string]string{}
	for v := range strings.FieldsSeq(variables) {
		name, value, _ := strings.Cut(v, "=")
		values[name] = value
	}
	return func(name string) string { return values[name] }
}

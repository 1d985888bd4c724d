package config

import (
	"bytes"
	"fmt"
)

// standardVariable is a variable of OpenTelemetry that the broker heeds.
type standardVariable struct {
	name    string
	over    string // the key over which it wins; empty for none
	meaning string
}

// standardVariables are those of OpenTelemetry that count here. Most are read by
// its libraries alone. A name with <X> stands for the one without, and for
// those of traces or metrics alone.
func standardVariables() []standardVariable {
	return []standardVariable{
		{"OTEL_SDK_DISABLED", "", "true: neither traces nor metrics are sent, whatever else is set"},
		{"OTEL_SERVICE_NAME", "telemetry.service", "service.name of everything that is sent"},
		{"OTEL_RESOURCE_ATTRIBUTES", "", "what else is said of this broker, as deployment.environment.name=prod,team=chat"},
		{"OTEL_TRACES_EXPORTER", "telemetry.traces.export", "otlp or none"},
		{"OTEL_METRICS_EXPORTER", "telemetry.metrics.export", "otlp or none; prometheus is none, since /metrics is there all the same"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.traces.endpoint, telemetry.metrics.endpoint", "URL of the receiver, without the path. It starts traces; metrics go there when something else says that they are sent"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "telemetry.traces.endpoint", "URL for traces, and for http/protobuf with its path, such as /v1/traces; starts them"},
		{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "telemetry.metrics.endpoint", "URL for metrics, and for http/protobuf with its path, such as /v1/metrics; starts them"},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "telemetry.traces.protocol, telemetry.metrics.protocol", "http/protobuf or grpc"},
		{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "telemetry.traces.protocol", "the same for traces alone"},
		{"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "telemetry.metrics.protocol", "the same for metrics alone"},
		{"OTEL_EXPORTER_OTLP_<X>HEADERS", "", "headers of each export, as authorization=Bearer%20…; the place for a token"},
		{"OTEL_EXPORTER_OTLP_<X>TIMEOUT", "", "how long an export may take, in milliseconds"},
		{"OTEL_EXPORTER_OTLP_<X>COMPRESSION", "", "gzip or none"},
		{"OTEL_EXPORTER_OTLP_<X>INSECURE", "", "true: grpc without encryption where the endpoint's scheme does not say"},
		{"OTEL_EXPORTER_OTLP_<X>CERTIFICATE", "", "file of the certificates by which the receiver is known"},
		{"OTEL_EXPORTER_OTLP_<X>CLIENT_CERTIFICATE", "", "file of the broker's own certificate"},
		{"OTEL_EXPORTER_OTLP_<X>CLIENT_KEY", "", "file of its key"},
		{"OTEL_TRACES_SAMPLER", "telemetry.traces.ratio", "always_on, always_off or traceidratio, or one of these behind parentbased_"},
		{"OTEL_TRACES_SAMPLER_ARG", "telemetry.traces.ratio", "the ratio, from 0 to 1"},
		{"OTEL_BSP_MAX_QUEUE_SIZE", "", "spans that wait to be sent; further ones are dropped and counted"},
		{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "", "spans in an export"},
		{"OTEL_BSP_SCHEDULE_DELAY", "", "how long a span waits for others at most, in milliseconds"},
		{"OTEL_BSP_EXPORT_TIMEOUT", "", "how long an export of spans may take with its repeats, in milliseconds"},
		{"OTEL_METRIC_EXPORT_INTERVAL", "telemetry.metrics.interval", "how often metrics are sent, in milliseconds"},
		{"OTEL_METRIC_EXPORT_TIMEOUT", "", "how long an export of metrics may take with its repeats, in milliseconds"},
	}
}

// standardTable documents them.
func standardTable(b *bytes.Buffer) {
	b.WriteString("\nOf OpenTelemetry, and for [traces and metrics](../docs/observe.md) alone; `<X>` is nothing, `TRACES_` or `METRICS_`,\n" +
		"and the longer name wins. A variable wins over the keys beside it, however these were set:\n\n" +
		"| Variable | Wins over | Text |\n| --- | --- | --- |\n")
	for _, v := range standardVariables() {
		fmt.Fprintf(b, "| %s | %s | %s |\n", code(v.name), codes(v.over), cell(v.meaning))
	}
}

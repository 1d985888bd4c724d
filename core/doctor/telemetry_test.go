package doctor

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/tracing/otlptest"
)

// TestTelemetry has receivers that take what is sent, refuse it, or are not there.
func TestTelemetry(t *testing.T) {
	t.Parallel()
	receiver := otlptest.New(t) // takes spans alone
	all := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(all.Close)
	nobody := "http://" + freeAddress(t)
	for name, tt := range map[string]struct {
		do   func(c *config.Telemetry)
		want Finding
	}{
		"traces by HTTP":  {func(c *config.Telemetry) { c.Traces.Endpoint = receiver.HTTP }, Finding{CheckTelemetry, OK, "traces are taken by " + receiver.HTTP + " by http/protobuf", ""}},
		"traces by gRPC":  {func(c *config.Telemetry) { c.Traces.Endpoint, c.Traces.Protocol = receiver.GRPC, config.ProtocolGRPC }, Finding{CheckTelemetry, OK, "traces are taken by " + receiver.GRPC + " by grpc", ""}},
		"metrics":         {func(c *config.Telemetry) { c.Metrics.Endpoint = all.URL }, Finding{CheckTelemetry, OK, "metrics are taken by " + all.URL, ""}},
		"nobody there":    {func(c *config.Telemetry) { c.Traces.Endpoint = nobody }, Finding{CheckTelemetry, Warn, "traces are lost: " + nobody, "telemetry.traces"}},
		"nor by gRPC":     {func(c *config.Telemetry) { c.Metrics.Endpoint, c.Metrics.Protocol = nobody, config.ProtocolGRPC }, Finding{CheckTelemetry, Warn, "metrics are lost: " + nobody, "telemetry.metrics"}},
		"not for metrics": {func(c *config.Telemetry) { c.Metrics.Endpoint = receiver.HTTP }, Finding{CheckTelemetry, Warn, "metrics are lost: " + receiver.HTTP + " by http/protobuf: ", "takes metrics by this protocol"}},
		"none":            {func(*config.Telemetry) {}, Finding{CheckTelemetry, OK, "neither traces nor metrics are sent", ""}},
		"a variable that the broker does not start with": {
			func(c *config.Telemetry) { c.Traces.Endpoint, c.Traces.Protocol = receiver.HTTP, "" },
			Finding{CheckTelemetry, Fail, `traces: OTEL_EXPORTER_OTLP_TRACES_PROTOCOL must be grpc or http/protobuf; got "http/json"`, "mend the variable"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config.Default()
			tt.do(&c.Telemetry)
			var got []Finding
			r := &round{
				Subject: Subject{Config: c, Machine: ThisMachine(func(name string) (string, bool) {
					if name == "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL" && c.Telemetry.Traces.Protocol == "" {
						return "http/json", true
					}
					return "", false
				})},
				report: func(f Finding) { got = append(got, f) },
			}
			r.telemetry(t.Context())
			if len(got) != 1 || got[0].Check != tt.want.Check || got[0].State != tt.want.State ||
				!strings.Contains(got[0].Found, tt.want.Found) || !strings.Contains(got[0].Fix, tt.want.Fix) {
				t.Errorf("want %+v, got\n%s", tt.want, show(got))
			}
		})
	}
}

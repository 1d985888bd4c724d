package otlp_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	pb "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/telemetry"
	"github.com/claudemesh/broker/core/telemetry/otlp"
	"github.com/claudemesh/broker/core/telemetry/resource"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// someFamilies gives one family of each kind.
func someFamilies(sink telemetry.Sink) {
	to, link := telemetry.To{Sink: sink}, []telemetry.Label{{Name: "link"}}
	to.Counters("ends_total", "Ends", link, []telemetry.Sample{{Values: []string{"one"}, Value: 3}, {Values: []string{"two"}, Value: 4}})
	to.Gauge("load_bytes", "Load", 0.5)
	to.Histograms("work_seconds", "Work", link, telemetry.Series{
		Values: []string{"one"}, Buckets: []telemetry.Bucket{{UpTo: 0.001, Count: 1}, {UpTo: 1, Count: 3}}, Count: 4, Sum: 7.5,
	})
	to.Summaries("size", "Sizes", nil, telemetry.Series{Count: 2, Sum: 9})
	to.Counters("empty_total", "Nothing there", link, nil)
}

// options are those of a broker that started an hour ago.
func options(t *testing.T, c config.MetricsExport) otlp.Options {
	t.Helper()
	r, err := resource.Of(t.Context(), "broker", "1.2.3", "i")
	if err != nil {
		t.Fatal(err)
	}
	return otlp.Options{
		Config: c, Environment: os.Getenv, Resource: r, Collect: someFamilies, Started: time.Now().Add(-time.Hour), Version: "1.2.3", Log: slog.New(slog.DiscardHandler),
	}
}

// clear takes away the variables that the tests are about.
func clear(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		"OTEL_SDK_DISABLED", "OTEL_METRICS_EXPORTER", "OTEL_METRIC_EXPORT_INTERVAL", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES",
		"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL",
		"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
	} {
		t.Setenv(name, "")
	}
}

func start(t *testing.T, o otlp.Options) (stop func()) {
	t.Helper()
	end, err := otlp.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := end(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	}
}

// TestExport sends one family of each kind over each protocol. Stopping sends at
// once.
func TestExport(t *testing.T) {
	for _, protocol := range []config.Protocol{config.ProtocolHTTP, config.ProtocolGRPC} {
		t.Run(string(protocol), func(t *testing.T) {
			clear(t)
			url, exports := overGRPC(t)
			if protocol == config.ProtocolHTTP {
				url, exports = overHTTP(t, nil)
			}
			o := options(t, config.MetricsExport{Export: config.ExportAuto, Endpoint: url, Protocol: protocol, Interval: time.Hour})
			start(t, o)()
			wantFamilies(t, <-exports, o.Started)
		})
	}
}

func wantFamilies(t *testing.T, got received, started time.Time) {
	t.Helper()
	if got.resource["service.name"] != "broker" || got.resource["service.instance.id"] != "i" || len(got.metrics) != 4 {
		t.Errorf("got %v of %v, want four metrics of the broker", got.metrics, got.resource)
	}
	since := uint64(started.UnixNano())
	ends := got.metrics["ends_total"].GetSum()
	if !ends.GetIsMonotonic() || ends.GetAggregationTemporality() != pb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE || len(ends.GetDataPoints()) != 2 {
		t.Fatalf("the counter is %v, want two that only rise, from the start on", ends)
	}
	for i, want := range map[int]float64{0: 3, 1: 4} {
		p := ends.DataPoints[i]
		if p.GetAsDouble() != want || p.GetStartTimeUnixNano() != since || p.GetTimeUnixNano() <= since || p.GetAttributes()[0].GetKey() != "link" {
			t.Errorf("sample %d of the counter is %v, want %v", i, p, want)
		}
	}
	if m := got.metrics["load_bytes"]; m.GetGauge().GetDataPoints()[0].GetAsDouble() != 0.5 || m.GetUnit() != "By" || m.GetDescription() != "Load" {
		t.Errorf("the gauge is %v", m)
	}
	work := got.metrics["work_seconds"]
	p := work.GetHistogram().GetDataPoints()[0]
	if diff := cmp.Diff([]float64{0.001, 1}, p.GetExplicitBounds()) + cmp.Diff([]uint64{1, 2, 1}, p.GetBucketCounts()); diff != "" || work.GetUnit() != "s" {
		t.Errorf("the buckets of the histogram (-want +got):\n%s", diff)
	}
	if p.GetCount() != 4 || p.GetSum() != 7.5 || p.GetStartTimeUnixNano() != since {
		t.Errorf("the histogram is %v", p)
	}
	if p := got.metrics["size"].GetSummary().GetDataPoints()[0]; p.GetCount() != 2 || p.GetSum() != 9 || p.GetStartTimeUnixNano() != since {
		t.Errorf("the summary is %v", p)
	}
}

// TestVariables has the standard variables decide against the config.
func TestVariables(t *testing.T) {
	const here, nowhere = "HERE", "http://127.0.0.1:1"
	tests := []struct {
		name      string
		config    config.MetricsExport
		variables map[string]string
		want      bool // something comes
		path      string
	}{
		{"the config's endpoint", config.MetricsExport{Export: config.ExportAuto, Endpoint: here}, nil, true, "/v1/metrics"},
		{"one with a path", config.MetricsExport{Export: config.ExportAuto, Endpoint: here + "/base/"}, nil, true, "/base/v1/metrics"},
		{"no endpoint", config.MetricsExport{Export: config.ExportAuto}, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": here}, false, ""},
		{"an endpoint, and none", config.MetricsExport{Export: config.ExportNone, Endpoint: here}, nil, false, ""},
		{"the variable for metrics", config.MetricsExport{Export: config.ExportAuto, Endpoint: nowhere}, map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": here + "/mine"}, true, "/mine"},
		{"the variable for all", config.MetricsExport{Export: config.ExportOTLP, Endpoint: nowhere}, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": here}, true, "/v1/metrics"},
		{"the exporter's name", config.MetricsExport{Export: config.ExportNone, Endpoint: here}, map[string]string{"OTEL_METRICS_EXPORTER": "prometheus, otlp"}, true, "/v1/metrics"},
		{"the exporter's name is none", config.MetricsExport{Export: config.ExportOTLP, Endpoint: here}, map[string]string{"OTEL_METRICS_EXPORTER": "none"}, false, ""},
		{"an exporter that is not there", config.MetricsExport{Export: config.ExportOTLP, Endpoint: here}, map[string]string{"OTEL_METRICS_EXPORTER": "console"}, false, ""},
		{"all is off", config.MetricsExport{Export: config.ExportOTLP, Endpoint: here}, map[string]string{"OTEL_SDK_DISABLED": "TRUE"}, false, ""},
		{"the protocol", config.MetricsExport{Export: config.ExportOTLP, Endpoint: here, Protocol: config.ProtocolGRPC}, map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, true, "/v1/metrics"},
		{"the protocol for metrics", config.MetricsExport{Export: config.ExportOTLP, Endpoint: here}, map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf"}, true, "/v1/metrics"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			clear(t)
			url, exports := overHTTP(t, nil)
			t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=chat")
			for name, value := range tt.variables {
				t.Setenv(name, strings.Replace(value, here, url, 1))
			}
			tt.config.Endpoint = strings.Replace(tt.config.Endpoint, here, url, 1)
			if tt.config.Protocol == "" {
				tt.config.Protocol = config.ProtocolHTTP
			}
			tt.config.Interval = time.Hour
			start(t, options(t, tt.config))()
			select {
			case got := <-exports:
				if !tt.want || got.path != tt.path || got.header.Get("X-Team") != "chat" {
					t.Errorf("something came to %s with %v; want one to %q: %v", got.path, got.header, tt.path, tt.want)
				}
			default:
				if tt.want {
					t.Error("nothing came")
				}
			}
		})
	}
}

func TestBadProtocol(t *testing.T) {
	clear(t)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
	_, err := otlp.Start(t.Context(), options(t, config.MetricsExport{Export: config.ExportOTLP, Interval: time.Hour}))
	if err == nil || !strings.Contains(err.Error(), `must be grpc or http/protobuf; got "http/json"`) {
		t.Errorf("the error is %v, want one that says what to do", err)
	}
}

// TestReceiverIsAway has one that refuses the first exports. That is logged once,
// and so is the end of it.
func TestReceiverIsAway(t *testing.T) {
	clear(t)
	t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "5")
	away := make(chan struct{}, 3)
	for range 3 {
		away <- struct{}{}
	}
	url, exports := overHTTP(t, away)
	log := new(lines)
	o := options(t, config.MetricsExport{Export: config.ExportAuto, Endpoint: url, Protocol: config.ProtocolHTTP, Interval: time.Hour})
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	stop := start(t, o)
	<-exports // that of the variable's interval
	<-exports // by now, the end of the first one is logged
	stop()
	if text := log.String(); strings.Count(text, "metrics not sent") != 1 || strings.Count(text, "metrics are sent again") != 1 {
		t.Errorf("logged\n%s\nwant one line when it goes, and one when it is back", text)
	}
}

// TestLastExportFails stops while the receiver is away. Nothing is tried again
// then: whoever stops it is told, and says so.
func TestLastExportFails(t *testing.T) {
	clear(t)
	away := make(chan struct{}, 1)
	away <- struct{}{}
	url, _ := overHTTP(t, away)
	log := new(lines)
	o := options(t, config.MetricsExport{Export: config.ExportAuto, Endpoint: url, Protocol: config.ProtocolHTTP, Interval: time.Hour})
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	stop, err := otlp.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := stop(context.Background()); err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("the stop says %v, want what the receiver said", err)
	}
	if text := log.String(); text != "" {
		t.Errorf("logged\n%s\nwant nothing: it is returned", text)
	}
}

// lines keeps what is logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

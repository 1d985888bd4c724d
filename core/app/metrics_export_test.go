package app_test

import (
	"compress/gzip"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	pb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/telemetry/otlp"
	"github.com/claudemesh/broker/core/telemetry/resource"
	"github.com/claudemesh/broker/sdk"
)

// TestExportHasWhatScrapesHave sends all metrics to a receiver, and reads
// /metrics: both have the same names, of the same kinds, with as many series.
// The last export comes when the broker has stopped.
func TestExportHasWhatScrapesHave(t *testing.T) {
	for _, name := range []string{"OTEL_SDK_DISABLED", "OTEL_METRICS_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"} {
		t.Setenv(name, "")
	}
	r := newEverything(t)
	ada := r.dial(session(r.member("ada", store.RoleMember)), dial.Options{})
	bo := r.dial(session(r.member("bo", store.RoleMember)), dial.Options{ConfirmPushes: true})
	r.send(ada, bo.Key().String(), sdk.PriorityNow, "hello")
	r.wantText(bo, "hello")
	eventually(t, "the confirmation", func() bool { return r.metric("broker_deliveries_confirmed_total") == "1" })
	url, exports := receiver(t)
	res, err := resource.Of(t.Context(), "broker", "test", "i")
	if err != nil {
		t.Fatal(err)
	}
	stop, err := otlp.Start(t.Context(), otlp.Options{
		Config:      config.MetricsExport{Export: config.ExportAuto, Endpoint: url, Protocol: config.ProtocolHTTP, Interval: time.Hour},
		Environment: os.Getenv, Resource: res, Collect: r.app.Metrics, Started: time.Now(), Version: "test", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.scrape() // the first one makes series of its own
	scraped := r.scrape()
	r.stop()
	if err := stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	exported := <-exports
	delete(scraped, "broker_stage_up") // a chain that has stopped has no stage that is up
	for name, f := range scraped {
		m := exported[name]
		if m == nil {
			if len(f.GetMetric()) > 0 && len(f.GetMetric()[0].GetLabel()) > 0 {
				t.Errorf("%s is not exported", name)
			}
			continue // one of the original's that show a bare 0 without samples
		}
		kind, series := shape(m)
		if kind != f.GetType() || series < len(f.GetMetric()) {
			t.Errorf("%s is exported as a %v with %d series, want a %v with %d", name, kind, series, f.GetType(), len(f.GetMetric()))
		}
		delete(exported, name)
	}
	for name := range exported {
		t.Errorf("%s is exported, and not shown", name)
	}
}

// shape returns what an exported metric is, and how many series it has.
func shape(m *pb.Metric) (dto.MetricType, int) {
	switch {
	case m.GetSum() != nil:
		return dto.MetricType_COUNTER, len(m.GetSum().GetDataPoints())
	case m.GetGauge() != nil:
		return dto.MetricType_GAUGE, len(m.GetGauge().GetDataPoints())
	case m.GetSummary() != nil:
		return dto.MetricType_SUMMARY, len(m.GetSummary().GetDataPoints())
	case m.GetHistogram() != nil:
		return dto.MetricType_HISTOGRAM, len(m.GetHistogram().GetDataPoints())
	default:
		return dto.MetricType_UNTYPED, 0
	}
}

// receiver returns the URL of a receiver of OTLP, and what it gets: metrics by
// their names.
func receiver(t *testing.T) (url string, exports <-chan map[string]*pb.Metric) {
	t.Helper()
	got := make(chan map[string]*pb.Metric, 10)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body := io.Reader(req.Body)
		if req.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(body)
			if err != nil {
				t.Error(err)
				return
			}
			body = z
		}
		b, err := io.ReadAll(body)
		m := new(collector.ExportMetricsServiceRequest)
		if err == nil {
			err = proto.Unmarshal(b, m)
		}
		if err != nil {
			t.Error(err)
			return
		}
		byName := map[string]*pb.Metric{}
		for _, x := range m.GetResourceMetrics()[0].GetScopeMetrics()[0].GetMetrics() {
			byName[x.GetName()] = x
		}
		got <- byName
	}))
	t.Cleanup(s.Close)
	return s.URL, got
}

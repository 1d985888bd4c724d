package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/proto"
)

// TestMetricsCountFromTheStartOfTheProcess holds what is sent to what
// process_start_time_seconds says in the same breath.
func TestMetricsCountFromTheStartOfTheProcess(t *testing.T) {
	t.Parallel()
	exports := make(chan *collector.ExportMetricsServiceRequest, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		exports <- exported(t, r)
	}))
	t.Cleanup(receiver.Close)
	x := newTerminal(t)
	broker, _ := x.serve("--set", "telemetry.metrics.endpoint="+receiver.URL, "--set", "telemetry.metrics.export=otlp")
	broker.end() // which sends them once more
	var shown float64
	var since time.Time
	select {
	case e := <-exports:
		for _, m := range e.GetResourceMetrics()[0].GetScopeMetrics()[0].GetMetrics() {
			switch m.GetName() {
			case "process_start_time_seconds":
				shown = m.GetGauge().GetDataPoints()[0].GetAsDouble()
			case "broker_connections_total":
				since = time.Unix(0, int64(m.GetSum().GetDataPoints()[0].GetStartTimeUnixNano())) //nolint:gosec // a time
			}
		}
	case <-time.After(patience):
		t.Fatal("no metrics were sent")
	}
	if shown == 0 {
		t.Skip("this system does not say when a process started")
	}
	// The system's time of boot has whole seconds, and may be another one when it is
	// asked again.
	apart := since.Sub(time.UnixMilli(int64(math.Round(shown * 1000)))).Seconds()
	if seconds := math.Round(apart); math.Abs(seconds) > 1 || math.Abs(apart-seconds) > 0.001 {
		t.Errorf("counters count from %v, %v s from the process' start", since, apart)
	}
}

// exported reads what a request brings.
func exported(t *testing.T, r *http.Request) *collector.ExportMetricsServiceRequest {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err == nil && r.Header.Get("Content-Encoding") == "gzip" {
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(body)); err == nil {
			body, err = io.ReadAll(z)
		}
	}
	e := new(collector.ExportMetricsServiceRequest)
	if err == nil {
		err = proto.Unmarshal(body, e)
	}
	if err != nil {
		t.Errorf("export: %v", err)
	}
	return e
}

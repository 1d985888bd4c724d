package otlp_test

import (
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	pb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// received is one export, by the names of its metrics.
type received struct {
	resource map[string]string
	metrics  map[string]*pb.Metric
	header   http.Header // of an export by HTTP
	path     string
}

func read(t *testing.T, r *collector.ExportMetricsServiceRequest) received {
	t.Helper()
	if len(r.GetResourceMetrics()) != 1 || len(r.ResourceMetrics[0].GetScopeMetrics()) != 1 {
		t.Errorf("got %v, want one resource with one scope", r)
		return received{}
	}
	got := received{resource: map[string]string{}, metrics: map[string]*pb.Metric{}}
	for _, a := range r.ResourceMetrics[0].GetResource().GetAttributes() {
		got.resource[a.GetKey()] = a.GetValue().GetStringValue()
	}
	for _, m := range r.ResourceMetrics[0].ScopeMetrics[0].GetMetrics() {
		if got.metrics[m.GetName()] != nil {
			t.Errorf("%s is there twice", m.GetName())
		}
		got.metrics[m.GetName()] = m
	}
	return got
}

// overHTTP returns the URL of a receiver, and what it receives. It refuses while
// away holds a value.
func overHTTP(t *testing.T, away <-chan struct{}) (url string, exports <-chan received) {
	t.Helper()
	got := make(chan received, 1000)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-away:
			w.WriteHeader(http.StatusBadRequest) // one that is not tried again at once
			return
		default:
		}
		var body io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Errorf("export: %v", err)
				return
			}
			body = z
		}
		b, err := io.ReadAll(body)
		request := new(collector.ExportMetricsServiceRequest)
		if err == nil {
			err = proto.Unmarshal(b, request)
		}
		if err != nil {
			t.Errorf("export: %v", err)
			return
		}
		export := read(t, request)
		export.header, export.path = r.Header, r.URL.Path
		got <- export
	}))
	t.Cleanup(s.Close)
	return s.URL, got
}

// service is a receiver over gRPC.
type service struct {
	collector.UnimplementedMetricsServiceServer
	t   *testing.T
	got chan<- received
}

func (s service) Export(_ context.Context, r *collector.ExportMetricsServiceRequest) (*collector.ExportMetricsServiceResponse, error) {
	s.got <- read(s.t, r)
	return new(collector.ExportMetricsServiceResponse), nil
}

func overGRPC(t *testing.T) (url string, exports <-chan received) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan received, 1000)
	s := grpc.NewServer()
	collector.RegisterMetricsServiceServer(s, service{t: t, got: got})
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return "http://" + l.Addr().String(), got
}

// Package otlptest receives spans as a trace store does, over OTLP, for tests.
package otlptest

import (
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// Span is a span as it came.
type Span struct {
	Name, Service, Scope           string
	TraceID, SpanID, ParentID      string // hex
	Links                          []string
	Start, End                     time.Time
	Attributes, ResourceAttributes map[string]any // texts, whole numbers, floats and truths
	Failed                         bool
	StatusText                     string
}

// Receiver takes spans over HTTP and gRPC. Safe for concurrent use.
type Receiver struct {
	// HTTP and GRPC are the URLs that exporters are given.
	HTTP, GRPC string

	mu    sync.Mutex
	spans []Span
	came  chan struct{} // closed when more came
}

// New starts a receiver that ends with the test.
func New(t testing.TB) *Receiver {
	t.Helper()
	r := &Receiver{came: make(chan struct{})}
	web := httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(web.Close)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	rpc := grpc.NewServer()
	collector.RegisterTraceServiceServer(rpc, service{receiver: r})
	go func() { _ = rpc.Serve(listener) }()
	t.Cleanup(rpc.Stop)
	r.HTTP, r.GRPC = web.URL, "http://"+listener.Addr().String()
	return r
}

func (r *Receiver) serve(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	m := new(collector.ExportTraceServiceRequest)
	if err != nil || req.URL.Path != "/v1/traces" || proto.Unmarshal(body, m) != nil {
		http.Error(w, "not spans", http.StatusBadRequest)
		return
	}
	r.take(m)
	answer, _ := proto.Marshal(new(collector.ExportTraceServiceResponse))
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(answer)
}

type service struct {
	collector.UnimplementedTraceServiceServer
	receiver *Receiver
}

// Export implements the collector's service.
func (s service) Export(_ context.Context, m *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	s.receiver.take(m)
	return new(collector.ExportTraceServiceResponse), nil
}

func (r *Receiver) take(m *collector.ExportTraceServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rs := range m.GetResourceSpans() {
		resource := attributes(rs.GetResource().GetAttributes())
		service, _ := resource["service.name"].(string)
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				r.spans = append(r.spans, spanOf(s, service, ss.GetScope().GetName(), resource))
			}
		}
	}
	close(r.came)
	r.came = make(chan struct{})
}

func spanOf(s *trace.Span, service, scope string, resource map[string]any) Span {
	got := Span{
		Name: s.GetName(), Service: service, Scope: scope,
		TraceID: hex.EncodeToString(s.GetTraceId()), SpanID: hex.EncodeToString(s.GetSpanId()), ParentID: hex.EncodeToString(s.GetParentSpanId()),
		Start: at(s.GetStartTimeUnixNano()), End: at(s.GetEndTimeUnixNano()),
		Attributes: attributes(s.GetAttributes()), ResourceAttributes: resource,
		Failed: s.GetStatus().GetCode() == trace.Status_STATUS_CODE_ERROR, StatusText: s.GetStatus().GetMessage(),
	}
	for _, l := range s.GetLinks() {
		got.Links = append(got.Links, hex.EncodeToString(l.GetSpanId()))
	}
	return got
}

func at(nanos uint64) time.Time { return time.Unix(0, int64(nanos)) } //nolint:gosec // Unix nanoseconds

func attributes(list []*common.KeyValue) map[string]any {
	m := make(map[string]any, len(list))
	for _, kv := range list {
		switch v := kv.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			m[kv.GetKey()] = v.StringValue
		case *common.AnyValue_IntValue:
			m[kv.GetKey()] = v.IntValue
		case *common.AnyValue_DoubleValue:
			m[kv.GetKey()] = v.DoubleValue
		case *common.AnyValue_BoolValue:
			m[kv.GetKey()] = v.BoolValue
		}
	}
	return m
}

// Spans returns what has come so far.
func (r *Receiver) Spans() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Span(nil), r.spans...)
}

// Wait returns what has come when it is enough. What is missing after a minute
// ends the test.
func (r *Receiver) Wait(t testing.TB, what string, enough func([]Span) bool) []Span {
	t.Helper()
	late := time.After(time.Minute)
	for {
		r.mu.Lock()
		spans, came := append([]Span(nil), r.spans...), r.came
		r.mu.Unlock()
		if enough(spans) {
			return spans
		}
		select {
		case <-came:
		case <-late:
			for _, s := range spans {
				t.Logf("%s %s %s < %s %v", s.TraceID, s.Name, s.SpanID, s.ParentID, s.Attributes)
			}
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

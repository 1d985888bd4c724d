package tracing_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/telemetry/resource"
	"github.com/claudemesh/broker/core/tracing"
	"github.com/claudemesh/broker/core/tracing/otlptest"
	"github.com/claudemesh/broker/sdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts tracing with a config and variables, which the exporters read
// from the process.
func start(t *testing.T, change func(*config.Telemetry), variables ...string) (*tracing.Provider, error) {
	t.Helper()
	c := config.Default().Telemetry
	if change != nil {
		change(&c)
	}
	values := map[string]string{}
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
		values[name] = value
	}
	res, err := resource.Of(t.Context(), c.Service, "1.2.3", "node-1")
	if err != nil {
		t.Fatal(err)
	}
	p, err := tracing.Start(t.Context(), c, func(name string) string { return values[name] }, res, "1.2.3", slog.New(slog.DiscardHandler))
	t.Cleanup(func() { stop(t, p) })
	return p, err
}

func stop(t *testing.T, p *tracing.Provider) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := p.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// TestSpansArrive over both protocols, by config and by variables.
func TestSpansArrive(t *testing.T) {
	r := otlptest.New(t)
	tests := []struct {
		name      string
		change    func(*config.Telemetry)
		variables []string
	}{
		{"http by config", func(c *config.Telemetry) { c.Traces.Endpoint = r.HTTP }, nil},
		{"grpc by config", func(c *config.Telemetry) {
			c.Traces.Endpoint, c.Traces.Protocol = r.GRPC, config.ProtocolGRPC
		}, nil},
		{"http by variables", nil, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + r.HTTP}},
		{"grpc by variables, over the config", func(c *config.Telemetry) { c.Traces.Endpoint = "http://127.0.0.1:1" }, []string{
			"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + r.GRPC, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, err := start(t, test.change, append(test.variables, "OTEL_TRACES_SAMPLER=parentbased_always_on")...)
			if err != nil {
				t.Fatal(err)
			}
			env := envelope("")
			p.Envelopes().Begin(env, member).End(env, sdk.Outcome{Decision: sdk.Decision{Verdict: sdk.Answer}, Stage: "route"})
			stop(t, p)
			id := tracing.TraceID(env.Trace)
			spans := r.Wait(t, "the span", func(spans []otlptest.Span) bool { return find(spans, id) != nil })
			s := find(spans, id)
			if s.Service != "claudemesh-broker" || s.ResourceAttributes["service.instance.id"] != "node-1" || s.ResourceAttributes["service.version"] != "1.2.3" {
				t.Errorf("it comes from %v", s.ResourceAttributes)
			}
			if s.Name != "envelope/send" || s.Attributes["claudemesh.stage"] != "route" || s.Attributes["messaging.system"] != "claudemesh" {
				t.Errorf("got %+v", s)
			}
			if got := p.Counts(); got != (tracing.Spans{Sent: 1}) {
				t.Errorf("the spans became %+v", got)
			}
		})
	}
}

func find(spans []otlptest.Span, id string) *otlptest.Span {
	for i := range spans {
		if spans[i].TraceID == id {
			return &spans[i]
		}
	}
	return nil
}

// TestWhenSpansAreSent has what switches them on and off.
func TestWhenSpansAreSent(t *testing.T) {
	on := func(e config.Export, endpoint string) func(*config.Telemetry) {
		return func(c *config.Telemetry) { c.Traces.Export, c.Traces.Endpoint = e, endpoint }
	}
	const here = "http://127.0.0.1:4318"
	tests := []struct {
		name      string
		change    func(*config.Telemetry)
		variables []string
		want      bool
	}{
		{"told nothing", nil, nil, false},
		{"an endpoint", on(config.ExportAuto, here), nil, true},
		{"otlp without an endpoint", on(config.ExportOTLP, ""), nil, true},
		{"none with an endpoint", on(config.ExportNone, here), nil, false},
		{"a variable", nil, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + here}, true},
		{"a variable's exporter", nil, []string{"OTEL_TRACES_EXPORTER=otlp"}, true},
		{"a variable's none over the file", on(config.ExportOTLP, here), []string{"OTEL_TRACES_EXPORTER=none"}, false},
		{"a variable's other exporter", on(config.ExportOTLP, here), []string{"OTEL_TRACES_EXPORTER=zipkin"}, false},
		{"one of a variable's", nil, []string{"OTEL_TRACES_EXPORTER=console, otlp"}, true},
		{"disabled", on(config.ExportOTLP, here), []string{"OTEL_SDK_DISABLED=true"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, err := start(t, test.change, test.variables...)
			if err != nil {
				t.Fatal(err)
			}
			if got := p != nil; got != test.want {
				t.Errorf("sends %v, want %v", got, test.want)
			}
			if (p.Envelopes() != nil) != test.want || (p.Spans() != nil) != test.want || (p.Processor() != nil) != test.want {
				t.Error("its parts do not agree")
			}
		})
	}
}

// TestWrongVariables are errors that name the variable.
func TestWrongVariables(t *testing.T) {
	for _, v := range []string{
		"OTEL_TRACES_SAMPLER=always", "OTEL_TRACES_SAMPLER_ARG=2", "OTEL_EXPORTER_OTLP_PROTOCOL=http/json", "OTEL_EXPORTER_OTLP_ENDPOINT=tempo:4318",
	} {
		t.Run(v, func(t *testing.T) {
			variables := []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318", v}
			if name, _, _ := strings.Cut(v, "="); name == "OTEL_TRACES_SAMPLER_ARG" {
				variables = append(variables, "OTEL_TRACES_SAMPLER=traceidratio")
			}
			_, err := start(t, nil, variables...)
			name, _, _ := strings.Cut(v, "=")
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

// TestEverySpanIsCounted has a receiver that hangs while thousands end.
func TestEverySpanIsCounted(t *testing.T) {
	hang := make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer receiver.Close()
	p, err := start(t, func(c *config.Telemetry) { c.Traces.Endpoint, c.Traces.Ratio = receiver.URL, 1 })
	if err != nil {
		t.Fatal(err)
	}
	const n = 20_000
	for range n {
		env := envelope("")
		p.Envelopes().Begin(env, member).End(env, sdk.Outcome{})
	}
	before := p.Counts()
	if before.Dropped < n/2 || before.Sent != 0 {
		t.Errorf("while the receiver hangs the spans became %+v", before)
	}
	close(hang)
	stop(t, p)
	if got := p.Counts(); got.Sent == 0 || got.Dropped != before.Dropped || got.Sent+got.Failed+got.Dropped != n {
		t.Errorf("of %d spans became %+v", n, got)
	}
}

// TestReceiverThatRefuses is said once, with where it is, and that it is over.
func TestReceiverThatRefuses(t *testing.T) {
	var refuse atomic.Bool
	refuse.Store(true)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if refuse.Load() {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	defer receiver.Close()
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
	c := config.Default().Telemetry
	c.Traces.Endpoint, c.Traces.Ratio = receiver.URL, 1
	var lines lines
	p, err := tracing.Start(t.Context(), c, func(string) string { return "" }, nil, "", slog.New(slog.NewTextHandler(&lines, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, p)
	spanUntil := func(enough func(tracing.Spans) bool) {
		for late := time.Now().Add(time.Minute); !enough(p.Counts()); {
			env := envelope("")
			p.Envelopes().Begin(env, member).End(env, sdk.Outcome{})
			if time.Now().After(late) {
				t.Fatalf("the spans became %+v", p.Counts())
			}
			runtime.Gosched()
		}
	}
	spanUntil(func(s tracing.Spans) bool { return s.Failed > 1000 })
	refuse.Store(false)
	spanUntil(func(s tracing.Spans) bool { return s.Sent > 0 })
	text := lines.String()
	if strings.Count(text, "traces not sent") != 1 || !strings.Contains(text, receiver.URL+" by http/protobuf") {
		t.Errorf("the log says\n%s", text)
	}
	spanUntil(func(tracing.Spans) bool { return strings.Contains(lines.String(), "traces are sent again") })
}

// lines is a log that is read while it is written.
type lines struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
)

// TestTelemetryLogsJSON gives settings that OpenTelemetry complains of, in a
// process whose standard error nobody else writes to. What it says is in the log,
// without what was set.
func TestTelemetryLogsJSON(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t"
	tests := []struct {
		name string
		set  string // with the secret, where there is one
		want string // in the log
	}{
		{"a colon for the equals sign", "OTEL_EXPORTER_OTLP_HEADERS=Authorization: Bearer s3cr3t", "missing '="},
		{"the same with padding, which ends the name", "OTEL_EXPORTER_OTLP_HEADERS=Authorization: Bearer s3cr3t==", "invalid header key"},
		{"no escape", "OTEL_EXPORTER_OTLP_HEADERS=authorization=s3cr3t%zz", "escape header value"},
		{"a password with a slash", "OTEL_EXPORTER_OTLP_ENDPOINT=http://me:s3cr3t/more@localhost", "parse url"},
		{"a key in place of its file", "OTEL_EXPORTER_OTLP_CERTIFICATE=s3cr3t", "no such file"},
		{"a word for a time", "OTEL_EXPORTER_OTLP_TIMEOUT=soon", "invalid syntax"},
		{"a word for an interval", "OTEL_METRIC_EXPORT_INTERVAL=s3cr3t", "OTEL_METRIC_EXPORT_INTERVAL"},
	}
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(receiver.Close)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := newTerminal(t)
			x.newMesh("team", "1") // the first one's invite is told in plain text
			x.environ = []string{
				"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=" + receiver.URL, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + receiver.URL, tt.set,
			}
			broker := x.child(x.on("serve", "--listen", "127.0.0.1:0")...)
			broker.out.wait(broker.running, "ready ")
			broker.signal(syscall.SIGTERM)
			broker.wait()
			log := broker.err.String()
			wantJSONLines(t, log)
			if strings.Contains(log, secret) || !strings.Contains(log, tt.want) {
				t.Errorf("want %q, and no secret, in\n%s", tt.want, log)
			}
		})
	}
}

// TestStopWithinAnExport stops a broker that sends metrics alone to a receiver
// that does not answer.
func TestStopWithinAnExport(t *testing.T) {
	t.Parallel()
	came, end := make(chan struct{}, 1), make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		select {
		case came <- struct{}{}:
		default:
		}
		<-end
	}))
	t.Cleanup(receiver.Close)
	t.Cleanup(func() { close(end) })
	x := newTerminal(t)
	x.newMesh("team", "1") // as above
	x.environ = []string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=" + receiver.URL, "OTEL_METRIC_EXPORT_INTERVAL=5"}
	broker := x.child(x.on("serve", "--listen", "127.0.0.1:0")...)
	broker.out.wait(broker.running, "ready ")
	<-came
	broker.signal(syscall.SIGTERM)
	broker.wait()
	log := broker.err.String()
	wantJSONLines(t, log)
	if strings.Contains(log, "tried again") || !strings.Contains(log, "the last metrics were not sent") {
		t.Errorf("want the last metrics to be missed, and no promise, in\n%s", log)
	}
}

// wantJSONLines holds what a broker logged to one line of JSON an event. Two lines
// greet whoever has started it.
func wantJSONLines(t *testing.T, log string) {
	t.Helper()
	for line := range strings.Lines(log) {
		greets := strings.HasPrefix(line, "broker dev on ws://") || strings.HasPrefix(line, "1 mesh(es); ")
		if !greets && !json.Valid([]byte(line)) {
			t.Errorf("standard error has the line %s", line)
		}
	}
}

package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestHealth asks a real broker both questions, before and after it stops.
func TestHealth(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	r, ws := x.serve()
	base := strings.TrimSuffix(strings.Replace(ws, "ws://", "http://", 1), "/ws")
	if out := x.ok("health", "--url", base); !strings.HasPrefix(out, "ok ") || !strings.Contains(out, `"db":"up"`) {
		t.Errorf("got %q", out)
	}
	answer := parse[healthAnswer](t, x.ok("health", "--ready", "--json", "--url", base+"/"))
	if !answer.OK || answer.Status != http.StatusOK || answer.URL != base+"/health/ready" {
		t.Errorf("got %+v", answer)
	}
	_, port, err := net.SplitHostPort(strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{nil, {"--set", "listen=127.0.0.1:0"}, {"--set", "listen=127.0.0.1:1"}} {
		if a := parse[healthAnswer](t, x.ok(x.on(append(args, "health", "--json")...)...)); a.URL != base+"/health" {
			t.Errorf("on the data directory %v asks %s, want %s", args, a.URL, base)
		}
	}
	x.ok("health", "--set", "listen=127.0.0.1:"+port)
	x.environ = []string{"BROKER_PORT=" + port, "NODE_ENV=production"} // in a container, without the key
	x.ok("health")
	r.end()
	x.fails(exitFailed, "is the broker running", "health")
}

// TestHealthRefusals asks what is no broker, or one that is not well.
func TestHealthRefusals(t *testing.T) {
	t.Parallel()
	sick := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/health":
			w.Write([]byte(`{"status":"ok","db":"down"}`))
		case "/health/ready":
			w.WriteHeader(http.StatusServiceUnavailable)
			w.Write([]byte(`{"status":"not_ready","reason":"db_down"}`))
		case "/web/health":
			w.Write([]byte("<html>"))
		default:
			<-r.Context().Done() // no answer at all
		}
	}))
	t.Cleanup(sick.Close)
	x := newTerminal(t)
	x.ok("health", "--url", sick.URL) // it lives
	for _, tt := range []struct {
		name  string
		code  int
		words string
		args  []string
	}{
		{"a broker that is not ready says why", exitFailed, "db_down", []string{"--ready", "--url", sick.URL}},
		{"another program's page is no answer", exitFailed, "no broker", []string{"--url", sick.URL + "/web"}},
		{"nobody waits for ever", exitFailed, "no answer", []string{"--url", sick.URL + "/hangs", "--timeout", "50ms"}},
		{"a time that is none", exitUsage, "--timeout", []string{"--url", sick.URL, "--timeout", "0s"}},
		{"a URL of the socket", exitUsage, "http or https", []string{"--url", "ws://127.0.0.1:7900/ws"}},
		{"a port that nobody knows", exitUsage, "--url", []string{"--set", "listen=127.0.0.1:0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := *x
			x.t = t
			x.fails(tt.code, tt.words, append([]string{"health"}, tt.args...)...)
		})
	}
	r := x.try("health", "--ready", "--json", "--url", sick.URL)
	if a := parse[healthAnswer](t, r.out); r.code != exitFailed || a.OK || a.Status != http.StatusServiceUnavailable || r.err != "" {
		t.Errorf("exit %d, %+v, %s", r.code, a, r.err)
	}
}

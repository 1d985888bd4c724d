package app_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/claudemesh/broker/core/store"
)

// TestRouter holds what every path answers, whatever route it has.
func TestRouter(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	tests := []struct {
		name, method, path string
		status             int
		allow              string
	}{
		{"unknown path", "GET", "/nope", 404, ""},
		{"unknown path with another method", "POST", "/nope", 404, ""},
		{"slash behind a path", "GET", "/health/", 404, ""},
		{"path that is not clean", "GET", "//health", 404, ""},
		{"path that is not clean, of another method", "GET", "//join", 404, ""},
		{"path that goes up", "POST", "/x/../join", 404, ""},
		{"path without a name where one belongs", "GET", "/cli/mesh//grants", 404, ""},
		{"query", "GET", "/health?x=1", 200, ""},
		{"HEAD of a GET", "HEAD", "/health", 200, ""},
		{"HEAD of nothing", "HEAD", "/nope", 404, ""},
		{"wrong method", "GET", "/join", 405, "POST, OPTIONS"},
		{"another wrong method", "DELETE", "/health", 405, "GET, HEAD, OPTIONS"},
		{"method that nobody has", "BREW", "/join", 405, "POST, OPTIONS"},
		{"OPTIONS of a path", "OPTIONS", "/join", 204, "POST, OPTIONS"},
		{"OPTIONS of nothing", "OPTIONS", "/nope", 404, ""},
		{"socket without an upgrade", "GET", "/ws", 426, ""},
		{"test routes of the original", "GET", "/test/clock", 404, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, body, header := r.request(tt.method, tt.path, "")
			if status != tt.status || header.Get("Allow") != tt.allow {
				t.Errorf("got %d and Allow %q, want %d and %q (%s)", status, header.Get("Allow"), tt.status, tt.allow, body)
			}
			if header.Get("X-Request-Id") == "" || header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("headers that every answer has: got %v", header)
			}
			if tt.status < 400 || tt.method == "HEAD" || tt.path == "/ws" {
				return
			}
			var refused struct {
				OK    *bool  `json:"ok"`
				Error string `json:"error"`
				Code  string `json:"code"`
				ID    string `json:"request_id"`
			}
			if err := json.Unmarshal([]byte(body), &refused); err != nil || refused.OK == nil || *refused.OK ||
				refused.Error == "" || refused.Code == "" || refused.ID != header.Get("X-Request-Id") {
				t.Errorf("want the one shape of an error (%v); got %s", err, body)
			}
			if ct := header.Get("Content-Type"); ct != "application/json" {
				t.Errorf("Content-Type %q", ct)
			}
		})
	}
}

// TestFrameOfHTTP holds that a peer cannot send over its socket what belongs to
// HTTP, where its fields would be read by other rules.
func TestFrameOfHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	s := r.greet(r.vouched(session(r.member("eve", store.RoleMember)), time.Now()), socketOptions{})
	for _, route := range r.app.Routes() {
		s.send(websocket.MessageText, []byte(`{"type":"`+string(route.Kind)+`"}`))
		wantAnswer(t, s.next(false), "unknown_type")
	}
}

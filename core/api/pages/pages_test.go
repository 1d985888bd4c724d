package pages_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/api/pages"
)

func serve(t *testing.T) *http.ServeMux {
	t.Helper()
	mux := http.NewServeMux()
	for pattern, h := range pages.Handlers() {
		mux.Handle(pattern, h)
	}
	return mux
}

func get(mux http.Handler, method, path string, edit func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	if edit != nil {
		edit(r)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

func TestHandlers(t *testing.T) {
	mux := serve(t)
	tests := []struct{ path, contentType, cache, holds string }{
		{"/cli-auth?session=clm_sess_X", "text/html; charset=utf-8", "no-store", "Sign in a command line"},
		{"/token", "text/html; charset=utf-8", "no-store", "A token to paste"},
		{"/pages/style.css", "text/css; charset=utf-8", "no-cache", "body {"},
		{"/pages/common.js", "text/javascript; charset=utf-8", "no-cache", "function ask"},
		{"/pages/cli-auth.js", "text/javascript; charset=utf-8", "no-cache", "cli/sign-in/"},
		{"/pages/token.js", "text/javascript; charset=utf-8", "no-cache", "cli/token"},
	}
	for _, tt := range tests {
		w := get(mux, http.MethodGet, tt.path, nil)
		h := w.Result().Header
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), tt.holds) {
			t.Errorf("%s: got %d without %q", tt.path, w.Code, tt.holds)
		}
		if h.Get("Content-Type") != tt.contentType || h.Get("Cache-Control") != tt.cache {
			t.Errorf("%s: got %s, %s", tt.path, h.Get("Content-Type"), h.Get("Cache-Control"))
		}
		policy := h.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: the policy lacks %s: %s", tt.path, want, policy)
			}
		}
		if strings.Contains(policy, "unsafe") {
			t.Errorf("%s: the policy is %s", tt.path, policy)
		}
		if w := get(mux, http.MethodHead, tt.path, nil); w.Code != http.StatusOK || w.Body.Len() > 0 {
			t.Errorf("HEAD %s: got %d with %d bytes", tt.path, w.Code, w.Body.Len())
		}
	}
}

func TestUnchanged(t *testing.T) {
	mux := serve(t)
	tag := get(mux, http.MethodGet, "/pages/style.css", nil).Result().Header.Get("ETag")
	w := get(mux, http.MethodGet, "/pages/style.css", func(r *http.Request) { r.Header.Set("If-None-Match", tag) })
	if tag == "" || w.Code != http.StatusNotModified {
		t.Errorf("got %d for the tag %s, want 304", w.Code, tag)
	}
}

// The policy forbids what these would be, and a page that relies on one is broken
// in the browser alone.
var inline = regexp.MustCompile(`(?i)<script>|<style|\son[a-z]+=|\sstyle=|javascript:|https?://|innerHTML|document\.write|\beval\b`)

func TestNothingInline(t *testing.T) {
	mux := serve(t)
	src := regexp.MustCompile(`(?:src|href)="([^"]+)"`)
	for _, path := range []string{"/cli-auth", "/token", "/pages/common.js", "/pages/cli-auth.js", "/pages/token.js"} {
		body := get(mux, http.MethodGet, path, nil).Body.String()
		if found := inline.FindString(body); found != "" {
			t.Errorf("%s holds %q", path, found)
		}
		for _, m := range src.FindAllStringSubmatch(body, -1) {
			if w := get(mux, http.MethodGet, "/"+m[1], nil); strings.HasPrefix(m[1], "/") || w.Code != http.StatusOK {
				t.Errorf("%s loads %s, which must be relative and there: got %d", path, m[1], w.Code)
			}
		}
	}
}

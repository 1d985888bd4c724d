package edge

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRequestID(t *testing.T) {
	var seen string
	_, url := serve(t, Options{}, func(_ http.ResponseWriter, r *http.Request) { seen = RequestID(r) })
	tests := []struct {
		name, fields string
		own          bool
	}{
		{"it makes one", "X-Other: a", false},
		{"it takes a short plain one", "X-Request-Id: 0af7651916cd43dd-8448.eb_211c", true},
		{"it takes one of 64 characters", "X-Request-Id: " + strings.Repeat("a", 64), true},
		{"it takes no longer one", "X-Request-Id: " + strings.Repeat("a", 65), false},
		{"it takes none with quotes", `X-Request-Id: a"b`, false},
		{"it takes none with blanks", "X-Request-Id: a b", false},
		{"it takes no empty one", "X-Request-Id: ", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, _ := ask(t, http.MethodGet, url, tt.fields)
			got := resp.Header.Get(requestID)
			_, sent, _ := strings.Cut(tt.fields, ": ")
			if !plain(got) || (got == sent) != tt.own || got != seen {
				t.Errorf("got %q, and the handler %q", got, seen)
			}
		})
	}
	first, _ := ask(t, http.MethodGet, url)
	second, _ := ask(t, http.MethodGet, url)
	if first.Header.Get(requestID) == second.Header.Get(requestID) {
		t.Error("two requests have one id")
	}
}

// fields returns those header fields of an answer that are asked for.
func fields(h http.Header, names ...string) map[string]string {
	got := map[string]string{}
	for _, n := range names {
		if v := h.Values(n); len(v) > 0 {
			got[n] = strings.Join(v, "|")
		}
	}
	return got
}

func TestSecurityHeaders(t *testing.T) {
	names := []string{
		"X-Content-Type-Options", "Cache-Control", "Referrer-Policy", "Content-Security-Policy", "X-Frame-Options",
		"Cross-Origin-Resource-Policy", "Access-Control-Allow-Origin", "Vary",
	}
	usual := map[string]string{
		"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "X-Frame-Options": "DENY",
		"Cross-Origin-Resource-Policy": "same-origin",
	}
	_, url := serve(t, Options{PerAddress: perMinute(1, 2)}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/page" {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Content-Security-Policy", "default-src 'self'")
		}
	})
	remote := []string{"Origin: https://a.example"} // not local, so limited
	page, _ := ask(t, http.MethodGet, url+"/page", remote...)
	other, _ := ask(t, http.MethodGet, url, remote...)
	refused, _ := ask(t, http.MethodGet, url, remote...)
	if refused.StatusCode != http.StatusTooManyRequests {
		t.Fatalf("got %s", refused.Status)
	}
	for name, h := range map[string]http.Header{"an answer": other.Header, "a refusal": refused.Header} {
		if diff := cmp.Diff(usual, fields(h, names...)); diff != "" {
			t.Errorf("%s, -want +got:\n%s", name, diff)
		}
	}
	want := fields(other.Header, names...)
	want["Cache-Control"], want["Content-Security-Policy"] = "max-age=60", "default-src 'self'"
	if diff := cmp.Diff(want, fields(page.Header, names...)); diff != "" {
		t.Errorf("a page of its own, -want +got:\n%s", diff)
	}
}

func TestCORS(t *testing.T) {
	names := []string{
		"Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers",
		"Access-Control-Max-Age", "Access-Control-Expose-Headers", "Access-Control-Allow-Credentials",
		"Cross-Origin-Resource-Policy", "Vary",
	}
	const page, want = "https://app.example.org", "Access-Control-Request-Method: DELETE"
	router := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }
	_, none := serve(t, Options{}, router)
	_, one := serve(t, Options{Origins: []string{"http://localhost:3000", page}}, router)
	_, all := serve(t, Options{Origins: []string{"*"}}, router)

	closed := map[string]string{"Cross-Origin-Resource-Policy": "same-origin"}
	varies := map[string]string{"Cross-Origin-Resource-Policy": "same-origin", "Vary": "Origin"}
	open := func(origin string, more map[string]string) map[string]string {
		m := map[string]string{
			"Access-Control-Allow-Origin": origin, "Cross-Origin-Resource-Policy": "cross-origin",
			"Access-Control-Expose-Headers": "Retry-After, X-Request-Id, Deprecation, Warning, Location, Upload-Length, Upload-Offset, Tus-Resumable, " +
				"Content-Disposition, Content-Range, ETag",
		}
		maps.Copy(m, more)
		return m
	}
	preflight := map[string]string{
		"Access-Control-Allow-Methods": "GET, HEAD, POST, PATCH, DELETE, OPTIONS", "Access-Control-Max-Age": "600", "Vary": "Origin",
		"Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, X-Request-Id, X-Mesh-Id, X-Member-Id, X-File-Name, X-Tags, " +
			"X-Persistent, X-Target-Spec, X-Encrypted, X-Owner-Pubkey, X-File-Keys, Upload-Length, Upload-Offset, Tus-Resumable, Range, If-Range",
	}
	tests := []struct {
		name, method, url string
		fields            []string
		status            int
		want              map[string]string
	}{
		{"no page may call by default", http.MethodGet, none, []string{"Origin: " + page}, http.StatusTeapot, closed},
		{"nor ask whether it may", http.MethodOptions, none, []string{"Origin: " + page, want}, http.StatusTeapot, closed},
		{"a listed page may read", http.MethodGet, one, []string{"Origin: " + page}, http.StatusTeapot, open(page, map[string]string{"Vary": "Origin"})},
		{"a listed page is told what it may send", http.MethodOptions, one, []string{"Origin: " + page, want}, http.StatusNoContent, open(page, preflight)},
		{"OPTIONS that is no such question goes on", http.MethodOptions, one, []string{"Origin: " + page}, http.StatusTeapot, open(page, map[string]string{"Vary": "Origin"})},
		{"another page may not", http.MethodOptions, one, []string{"Origin: https://evil.example", want}, http.StatusTeapot, varies},
		{"one below a listed name may not", http.MethodGet, one, []string{"Origin: " + page + ".evil.example"}, http.StatusTeapot, varies},
		{"one with another scheme may not", http.MethodGet, one, []string{"Origin: http://app.example.org"}, http.StatusTeapot, varies},
		{"two origins are none", http.MethodGet, one, []string{"Origin: " + page, "Origin: " + page}, http.StatusTeapot, varies},
		{"who is no page goes on", http.MethodGet, one, nil, http.StatusTeapot, varies},
		{"* lets every page read", http.MethodGet, all, []string{"Origin: null"}, http.StatusTeapot, open("*", nil)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, _ := ask(t, tt.method, tt.url, tt.fields...)
			if resp.StatusCode != tt.status {
				t.Errorf("got %s, want %d", resp.Status, tt.status)
			}
			if diff := cmp.Diff(tt.want, fields(resp.Header, names...)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

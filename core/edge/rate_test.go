package edge

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/claudemesh/broker/core/identity"
)

// from are the header fields of a request through the trusted proxy at the
// loopback.
func from(addr string) string { return "X-Forwarded-For: " + addr }

func behindProxy(t testing.TB, o Options) Options {
	t.Helper()
	o.Proxies = prefixes(t, "127.0.0.1")
	return o
}

func TestPerAddress(t *testing.T) {
	c := newClock()
	_, url := serve(t, behindProxy(t, Options{PerAddress: perMinute(20, 3), Now: c.Now}), told)
	for i := range 3 {
		if resp, _ := ask(t, http.MethodGet, url, from("198.51.100.7")); resp.StatusCode != http.StatusOK {
			t.Fatalf("request %d: %s", i, resp.Status)
		}
	}
	resp, body := ask(t, http.MethodGet, url, from("198.51.100.7"), "X-Request-Id: me")
	want := `{"ok":false,"error":"rate limited","code":"rate_limit","request_id":"me"}`
	if resp.StatusCode != http.StatusTooManyRequests || body != want || !json.Valid([]byte(body)) {
		t.Errorf("got %s, %s", resp.Status, body)
	}
	if got := fields(resp.Header, "Retry-After", "Content-Type"); got["Retry-After"] != "3" || got["Content-Type"] != "application/json" {
		t.Errorf("got %v", got)
	}
	for name, fields := range map[string][]string{
		"another address": {from("198.51.100.8")},
		"what a caller writes before a proxy's own": {from("198.51.100.7, 198.51.100.9")},
		"a local program": nil,
	} {
		if resp, _ := ask(t, http.MethodGet, url, fields...); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
	for path, status := range map[string]int{
		"/health": 200, "/health/ready": 200, "/health?x=1": 200, "/healthy": 429, "/metrics": 429, "/ws": 429,
	} {
		if resp, _ := ask(t, http.MethodGet, url+path, from("198.51.100.7")); resp.StatusCode != status {
			t.Errorf("%s: %s, want %d", path, resp.Status, status)
		}
	}
	c.pass(3 * time.Second)
	if resp, _ := ask(t, http.MethodGet, url, from("198.51.100.7")); resp.StatusCode != http.StatusOK {
		t.Errorf("after the wait that it was told: %s", resp.Status)
	}
}

// What a caller says about itself neither frees it nor charges another.
func TestSpoofedAddress(t *testing.T) {
	_, url := serve(t, Options{PerAddress: perMinute(1, 3)}, told)
	refused := 0
	for i := range 50 {
		if resp, _ := ask(t, http.MethodGet, url, from(fmt.Sprintf("198.51.100.%d", i))); resp.StatusCode == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused != 47 {
		t.Errorf("%d of 50 were refused, want 47", refused)
	}
}

func TestIPv6CountsByNetwork(t *testing.T) {
	_, url := serve(t, behindProxy(t, Options{PerAddress: perMinute(1, 1)}), told)
	for i, tt := range []struct {
		addr   string
		status int
	}{
		{"2001:db8::1", 200}, {"2001:db8::ffff:1", 429}, {"2001:db8:0:1::1", 200},
		{"::ffff:198.51.100.7", 200}, {"198.51.100.7", 429}, {"198.51.100.8", 200},
	} {
		if resp, _ := ask(t, http.MethodGet, url, from(tt.addr)); resp.StatusCode != tt.status {
			t.Errorf("request %d, of %s: %s, want %d", i, tt.addr, resp.Status, tt.status)
		}
	}
}

func TestPerToken(t *testing.T) {
	e, url := serve(t, behindProxy(t, Options{PerToken: perMinute(1, 2)}), told)
	for i := range 3 {
		resp, _ := ask(t, http.MethodGet, url, from(fmt.Sprintf("198.51.100.%d", i)), "Authorization: Bearer a")
		if limited := resp.StatusCode == http.StatusTooManyRequests; limited != (i == 2) {
			t.Errorf("request %d, each from elsewhere: %s", i, resp.Status)
		}
	}
	if resp, _ := ask(t, http.MethodGet, url, "Authorization: Bearer   a"); resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the same token, written otherwise: %s", resp.Status)
	}
	for _, auth := range []string{"Authorization: Bearer b", "X-None: "} {
		if resp, _ := ask(t, http.MethodGet, url, auth); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", auth, resp.Status)
		}
	}
	if n := e.rates.bearers.Len(); n != 2 {
		t.Errorf("%d tokens are remembered, want 2", n)
	}
}

// Each signature of a member is another one; the member is the same.
func TestPerMember(t *testing.T) {
	_, url := serve(t, behindProxy(t, Options{PerToken: perMinute(1, 2)}), told)
	_, secret := identity.NewKeypair()
	now := time.Now()
	for i := range 4 {
		address := "198.51.100.1"
		if i == 3 {
			address = "198.51.100.2" // from where nobody has asked in its name
		}
		proof := identity.SignHTTP(secret, http.MethodGet, "/", "mesh", nil, now.Add(time.Duration(i)*time.Millisecond))
		resp, _ := ask(t, http.MethodGet, url, from(address), "Authorization: "+proof)
		if limited := resp.StatusCode == http.StatusTooManyRequests; limited != (i == 2) {
			t.Errorf("request %d: %s", i, resp.Status)
		}
	}
}

// A limit reaches a socket too, before it is opened, and what is below the edge
// sees the caller's address.
func TestSocketsPass(t *testing.T) {
	var remote atomic.Pointer[string]
	_, url := serve(t, behindProxy(t, Options{PerAddress: perMinute(1, 1)}), func(w http.ResponseWriter, r *http.Request) {
		remote.Store(&r.RemoteAddr)
		if c, err := websocket.Accept(w, r, nil); err == nil {
			_ = c.CloseNow()
		}
	})
	for i, want := range []int{http.StatusSwitchingProtocols, http.StatusTooManyRequests} {
		c, resp, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPHeader: http.Header{forwardedFor: {"198.51.100.7"}}})
		if resp == nil || resp.StatusCode != want {
			t.Fatalf("dial %d: %v, %v", i, resp, err)
		}
		if c != nil {
			_ = c.CloseNow()
		}
	}
	if got := *remote.Load(); got != "198.51.100.7:0" {
		t.Errorf("RemoteAddr is %s", got)
	}
}

func TestGuesses(t *testing.T) {
	c := newClock()
	e := New(Options{Guesses: perMinute(30, 3), Now: c.Now, Log: quiet()})
	ada, bo := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8::1")
	for range 100 { // asking costs nothing
		if _, ok := e.Allowed(ada); !ok {
			t.Fatal("refused without a failure")
		}
	}
	for range 3 {
		e.Failed(ada)
	}
	if wait, ok := e.Allowed(ada); ok || wait != 2*time.Second {
		t.Errorf("got %s, %v", wait, ok)
	}
	if _, ok := e.Allowed(bo); !ok {
		t.Error("another address is refused")
	}
	c.pass(2 * time.Second)
	if _, ok := e.Allowed(ada); !ok {
		t.Error("refused after the wait")
	}
	for range 100 { // all at once, each allowed before the first failed
		e.Failed(bo)
	}
	if wait, ok := e.Allowed(netip.MustParseAddr("2001:db8::2")); ok || wait != 98*2*time.Second {
		t.Errorf("a hundred at once: wait %s, %v", wait, ok)
	}
	off := New(Options{Log: quiet()})
	for range 1000 {
		off.Failed(ada)
	}
	if _, ok := off.Allowed(ada); !ok {
		t.Error("refused without a limit")
	}
}

// Who calls from a million addresses, or with a million tokens, gets no more
// memory than the limits have.
func TestFlood(t *testing.T) {
	e := New(Options{Proxies: prefixes(t, "127.0.0.1"), PerAddress: perMinute(60, 10), PerToken: perMinute(60, 10), Guesses: perMinute(30, 30), Log: quiet()})
	h := e.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { e.Failed(Address(r)) }))
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = "127.0.0.1:1"
			for i := range 50_000 {
				r.Header[forwardedFor] = []string{fmt.Sprintf("2001:db8:%x:%x::1", worker, i)}
				r.Header["Authorization"] = []string{fmt.Sprint("Bearer ", worker, i)}
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
	wg.Wait()
	for name, n := range map[string]int{"addresses": e.rates.addresses.Len(), "tokens": e.rates.bearers.Len(), "guesses": e.set.Len()} {
		if n > most || n < most/2 {
			t.Errorf("%d %s are remembered, want at most %d", n, name, most)
		}
	}
}

// Many at once get exactly what the limit lets through.
func TestConcurrent(t *testing.T) {
	c := newClock()
	_, url := serve(t, behindProxy(t, Options{PerAddress: perMinute(1, 40), PerToken: perMinute(1, 1000), Guesses: perMinute(1, 1), Now: c.Now}), told)
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, strings.NewReader("body"))
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set(forwardedFor, "198.51.100.7")
				r.Header.Set("Authorization", "Bearer a")
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					passed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := passed.Load(); n != 40 {
		t.Errorf("%d of 160 passed, want 40", n)
	}
}

// discard is a ResponseWriter that costs nothing.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func BenchmarkEdge(b *testing.B) {
	for name, fields := range map[string]http.Header{
		"plain":   {},
		"proxied": {forwardedFor: {"198.51.100.7, 10.0.0.2"}},
		"bearer":  {forwardedFor: {"198.51.100.7"}, "Authorization": {"Bearer " + strings.Repeat("a", 200)}, "Origin": {"https://app.example.org"}},
	} {
		b.Run(name, func(b *testing.B) {
			rate := perMinute(1_000_000_000, 1_000_000)
			h := New(Options{
				Proxies: prefixes(b, "127.0.0.1", "10.0.0.0/8"), Origins: []string{"https://app.example.org"},
				PerAddress: rate, PerToken: rate, Guesses: rate, Log: quiet(),
			}).Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr, r.Header = "127.0.0.1:1234", fields
			w := discard{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}

package edge

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/claudemesh/broker/core/config"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"))
}

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 8, 3, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// record is a log that tests read.
type record struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *record) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *record) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func perMinute(count, burst int) Rate {
	return Rate{config.Limit{Rate: config.Rate{Count: count, Per: time.Minute}}, burst}
}

func prefixes(t testing.TB, texts ...string) []netip.Prefix {
	t.Helper()
	h := config.HTTP{TrustedProxies: texts}
	p := h.Proxies()
	if len(p) != len(texts) {
		t.Fatalf("%q are not all networks", texts)
	}
	return p
}

// serve runs an edge in front of a handler on a real port.
func serve(t testing.TB, o Options, h http.HandlerFunc, change ...func(*http.Server)) (*Edge, string) {
	t.Helper()
	if o.Log == nil {
		o.Log = quiet()
	}
	e := New(o)
	srv := httptest.NewUnstartedServer(e.Wrap(h))
	for _, f := range change {
		f(srv.Config)
	}
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	srv.Start()
	t.Cleanup(srv.Close)
	return e, srv.URL
}

// told answers with what the edge says about the caller.
func told(w http.ResponseWriter, r *http.Request) {
	local := ""
	if Local(r) {
		local = " local"
	}
	_, _ = io.WriteString(w, Address(r).String()+local)
}

// ask sends a request with header fields "Name: value" and returns the answer
// with its body.
func ask(t testing.TB, method, url string, fields ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Add(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

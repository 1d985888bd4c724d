package console

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

const token = "correct-horse-battery"

// rig is a page on a port of its own, and a browser without a screen.
type rig struct {
	*Server
	tb     testing.TB
	client *http.Client
}

// open starts a page on a source.
func open(tb testing.TB, source Source, change ...func(*Options)) *rig {
	tb.Helper()
	o := Options{Listen: "127.0.0.1:0", Token: token, Source: source, Log: quiet()}
	for _, f := range change {
		f(&o)
	}
	return start(tb, New(o))
}

// start starts a page that does not wait a second between two answers.
func start(tb testing.TB, s *Server) *rig {
	tb.Helper()
	if s.collect.every == every {
		s.collect.every = 25 * time.Millisecond
	}
	transport := &http.Transport{}
	tb.Cleanup(transport.CloseIdleConnections)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), 20*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			tb.Error(err)
		}
	})
	if err := s.Start(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return &rig{Server: s, tb: tb, client: &http.Client{
		Jar: jar, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// answer is what came back.
type answer struct {
	*http.Response
	body string
}

// do sends a request; change may be nil.
func (r *rig) do(method, path string, form url.Values, change func(*http.Request)) answer {
	r.tb.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(r.tb.Context(), method, "http://"+r.Addr().String()+path, body)
	if err != nil {
		r.tb.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if change != nil {
		change(req)
	}
	res, err := r.client.Do(req)
	if err != nil {
		r.tb.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.tb.Fatal(err)
	}
	return answer{res, string(b)}
}

func (r *rig) get(path string) answer {
	r.tb.Helper()
	return r.do(http.MethodGet, path, nil, browser)
}

// browser makes a request one of a browser that navigates.
func browser(r *http.Request) { r.Header.Set("Accept", "text/html,*/*") }

func bearer(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }

// enter shows the token.
func (r *rig) enter() {
	r.tb.Helper()
	if a := r.do(http.MethodPost, "/console/signin", url.Values{"token": {token}}, browser); a.StatusCode != http.StatusSeeOther {
		r.tb.Fatalf("sign-in: %s: %s", a.Status, a.body)
	}
}

// until waits for a condition.
func until(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("it is not so after 20 s: %s", what)
		}
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

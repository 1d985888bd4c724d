package console

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/claudemesh/broker/core/config"
)

// longToken has as many characters as it takes for nobody to guess it.
const longToken = "correct-horse-battery-st"

// guess sends so many wrong tokens as from an address, and returns the last answer.
func (r *rig) guess(n int, change func(*http.Request)) (a answer) {
	r.tb.Helper()
	for i := range n {
		a = r.do(http.MethodPost, "/console/signin", url.Values{"token": {fmt.Sprint("wrong-", i)}}, change)
	}
	return a
}

// Whoever does not have the token cannot keep out who has it.
func TestGuessesDoNotLockTheOperatorOut(t *testing.T) {
	r := open(t, empty(), func(o *Options) { o.Token = longToken })
	if a := r.guess(25, browser); a.StatusCode != http.StatusTooManyRequests {
		t.Fatalf("the last guess: %s", a.Status)
	}
	if a := r.do(http.MethodGet, "/console/snapshot.json", nil, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+longToken) }); a.StatusCode != http.StatusOK {
		t.Errorf("the token as a bearer: %s", a.Status)
	}
	if a := r.do(http.MethodPost, "/console/signin", url.Values{"token": {longToken}}, browser); a.StatusCode != http.StatusSeeOther {
		t.Errorf("the token in the form: %s", a.Status)
	}
	if a := r.do(http.MethodPost, "/console/signin", url.Values{"token": {longToken + "x"}}, browser); a.StatusCode != http.StatusTooManyRequests {
		t.Errorf("one that begins with the token: %s", a.Status)
	}
}

// A token that could be guessed is held to the limit, right or wrong: else the
// answer would tell which it was.
func TestShortTokensKeepTheLimit(t *testing.T) {
	from := netip.MustParseAddr("192.0.2.1")
	for length, want := range map[int]bool{steadyToken - 1: false, steadyToken: true} {
		right := strings.Repeat("a", length)
		d := newDoors(Options{Token: config.Secret(right), Log: quiet()})
		for range 30 {
			d.fits("wrong", from)
		}
		if ok, _ := d.fits(right, from); ok != want {
			t.Errorf("one of %d characters passes: %v", length, ok)
		}
	}
}

// Behind a proxy that is trusted, who guesses is told apart from who does not.
func TestGuessesBehindAProxy(t *testing.T) {
	from := func(ip string) func(*http.Request) {
		return func(r *http.Request) {
			browser(r)
			r.Host = "ops.example.org"
			r.Header.Set("X-Forwarded-For", ip)
		}
	}
	for trusted, want := range map[bool]int{true: http.StatusSeeOther, false: http.StatusTooManyRequests} {
		r := open(t, empty(), func(o *Options) {
			if o.Anywhere = true; trusted {
				o.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
			}
		})
		r.guess(25, from("203.0.113.9"))
		if a := r.do(http.MethodPost, "/console/signin", url.Values{"token": {token}}, from("198.51.100.7")); a.StatusCode != want {
			t.Errorf("trusted %v: somebody else gets %s", trusted, a.Status)
		}
	}
}

// lines is a log that can be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) with(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

func TestGuessesAreLogged(t *testing.T) {
	var log lines
	r := open(t, empty(), func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	r.guess(19, browser)
	if n := log.with("wrong tokens"); n != 0 {
		t.Errorf("%d lines before the limit", n)
	}
	r.guess(30, browser)
	if n := log.with("wrong tokens"); n != 1 || log.with("address=127.0.0.1") != 1 || log.with("wrong-") != 0 {
		t.Errorf("%d lines:\n%s", n, log.b.String())
	}
}

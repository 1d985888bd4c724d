package watch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// loopback is what tests allow beside public addresses.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// server is a host of the world outside.
func server(t *testing.T, h http.HandlerFunc) (address, port string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return s.URL, u.Port()
}

func TestGet(t *testing.T) {
	address, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL, r.Header.Get("X-A"), r.Header.Get("User-Agent"))
	})
	got, err := NewClient(loopback).Get(t.Context(), address+"/p?q=1", map[string]string{"X-A": "b"})
	if err != nil || got.Status != http.StatusTeapot || string(got.Body) != "GET /p?q=1 b "+agent {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Nothing is asked of an address that is not public, whatever leads to it.
func TestFlawExt06NothingPrivateIsReached(t *testing.T) {
	asked := 0
	private, port := server(t, func(http.ResponseWriter, *http.Request) { asked++ })
	names := map[string][]netip.Addr{
		"inside.example":  {netip.MustParseAddr("127.0.0.1")},
		"mapped.example":  {netip.MustParseAddr("::ffff:127.0.0.1")},
		"one-of.example":  {netip.MustParseAddr("93.184.216.34"), netip.MustParseAddr("127.0.0.1")},
		"nothing.example": {},
	}
	c := NewClient(nil)
	c.resolve = func(_ context.Context, host string) ([]netip.Addr, error) { return names[host], nil }
	t.Setenv("HTTP_PROXY", private)
	t.Setenv("http_proxy", private)
	for address, want := range map[string]error{
		private:                             ErrAddress,
		"http://inside.example:" + port:     ErrAddress,
		"http://inside.example":             ErrAddress,
		"http://mapped.example:" + port:     ErrAddress,
		"https://one-of.example":            ErrAddress,
		"http://nothing.example":            errName,
		"http://[::ffff:127.0.0.1]:" + port: ErrAddress,
		"http://0x7f000001:" + port:         errName, // a name, as far as the broker goes
		"http://localhost.:" + port:         errName,
	} {
		if _, err := c.Get(t.Context(), address, nil); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", address, err, want)
		}
	}
	if asked > 0 {
		t.Errorf("it was asked %d times", asked)
	}
}

// A redirect is held to the same, and so is a name that leads elsewhere the second
// time it is looked up.
func TestFlawExt06RedirectsAreChecked(t *testing.T) {
	asked := false
	_, port := server(t, func(http.ResponseWriter, *http.Request) { asked = true })
	outside := []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")} // stands for the world outside
	for _, to := range []string{"http://inside.example:" + port, "http://127.0.0.1:" + port, "http://turns.example:" + port, "file:///etc/passwd", "http://169.254.169.254/"} {
		c, looked := NewClient(outside), 0
		c.resolve = func(_ context.Context, host string) ([]netip.Addr, error) {
			if looked++; host == "inside.example" || host == "turns.example" && looked > 1 {
				return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
			}
			return []netip.Addr{netip.MustParseAddr("127.0.0.2")}, nil
		}
		first := httptest.NewUnstartedServer(http.RedirectHandler(to, http.StatusFound))
		l, err := listenOn(t, "127.0.0.2:0")
		if err != nil {
			t.Skip("this machine has one loopback address")
		}
		first.Listener = l
		first.Start()
		t.Cleanup(first.Close)
		_, at, _ := strings.Cut(strings.TrimPrefix(first.URL, "http://"), ":")
		_, err = c.Get(t.Context(), "http://turns.example:"+at, nil)
		if !errors.Is(err, ErrAddress) && !errors.Is(err, ErrScheme) {
			t.Errorf("%s: got %v", to, err)
		}
	}
	if asked {
		t.Error("it was asked")
	}
}

// What a member sends in headers is for the origin that it has named.
func TestFlawExt06HeadersStayWithTheirOrigin(t *testing.T) {
	var got http.Header
	other, _ := server(t, func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Clone() })
	var first string
	first, _ = server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, other, http.StatusFound)
			return
		}
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/here", http.StatusFound)
			return
		}
		got = r.Header.Clone()
	})
	c, headers := NewClient(loopback), map[string]string{"Authorization": "Bearer x", "X-Token": "y", "Cookie": "z"}
	if _, err := c.Get(t.Context(), first+"/away?secret=1", headers); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Authorization", "X-Token", "Cookie", "Referer"} {
		if got.Get(name) != "" {
			t.Errorf("another origin gets %s: %s", name, got.Get(name))
		}
	}
	if _, err := c.Get(t.Context(), first, headers); err != nil || got.Get("X-Token") != "y" {
		t.Errorf("the same origin gets %v, %v", got, err)
	}
}

func TestFlawExt08AnswersAreBounded(t *testing.T) {
	address, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/endless":
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		case "/headers":
			for i := range 100 {
				w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("x", 1000))
			}
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		}
	})
	c := NewClient(loopback)
	for path, want := range map[string]error{"/endless": errBody, "/headers": errAnswer, "/round": errRedirects} {
		if _, err := c.Get(t.Context(), address+path, nil); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", path, err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Get(ctx, address, nil); !errors.Is(err, errTime) {
		t.Errorf("a context that is over: got %v", err)
	}
}

func TestErrorsSayNothingOfTheNetwork(t *testing.T) {
	address, _ := server(t, func(http.ResponseWriter, *http.Request) {})
	s := httptest.NewServer(nil)
	s.Close()
	for _, at := range []string{s.URL, strings.Replace(address, "http:", "https:", 1)} {
		_, err := NewClient(loopback).Get(t.Context(), at, nil)
		if err == nil || strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("%s: got %v", at, err)
		}
	}
}

func listenOn(t *testing.T, address string) (net.Listener, error) {
	t.Helper()
	return new(net.ListenConfig).Listen(t.Context(), "tcp", address)
}

package edge

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAddress(t *testing.T) {
	tests := []struct {
		name    string
		trusted []string
		remote  string
		lines   []string // of X-Forwarded-For
		want    string
	}{
		{"it is the socket's", nil, "192.0.2.1:5", nil, "192.0.2.1"},
		{"it ignores what somebody untrusted says", []string{"10.0.0.0/8"}, "192.0.2.1:5", []string{"198.51.100.7"}, "192.0.2.1"},
		{"it ignores everybody when nobody is trusted", nil, "10.0.0.1:5", []string{"198.51.100.7"}, "10.0.0.1"},
		{"it believes a trusted proxy", []string{"10.0.0.0/8"}, "10.0.0.1:5", []string{"198.51.100.7"}, "198.51.100.7"},
		{"it is a trusted proxy's own, when that calls itself", []string{"10.0.0.0/8"}, "10.0.0.1:5", nil, "10.0.0.1"},
		{"it ignores what a caller has written to the left", []string{"10.0.0.0/8"}, "10.0.0.1:5", []string{"1.1.1.1, 10.0.0.9, 198.51.100.7"}, "198.51.100.7"},
		{"it follows a chain of proxies", []string{"10.0.0.0/8", "192.0.2.9"}, "10.0.0.1:5", []string{"1.1.1.1, 198.51.100.7, 192.0.2.9,10.0.0.2"}, "198.51.100.7"},
		{"it joins lines", []string{"10.0.0.0/8"}, "10.0.0.1:5", []string{"1.1.1.1", "198.51.100.7, 10.0.0.3", "10.0.0.2"}, "198.51.100.7"},
		{"it goes to the farthest of trusted ones only", []string{"10.0.0.0/8"}, "10.0.0.1:5", []string{"10.0.0.4, 10.0.0.3"}, "10.0.0.4"},
		{"it stops at what is no address", []string{"10.0.0.0/8"}, "10.0.0.1:5", []string{"198.51.100.7, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"it stops at an empty one", []string{"10.0.0.0/8"}, "10.0.0.1:5", []string{"198.51.100.7,"}, "10.0.0.1"},
		{"it stops at an empty line", []string{"10.0.0.0/8"}, "10.0.0.1:5", []string{""}, "10.0.0.1"},
		{"it reads ports and brackets", []string{"10.0.0.0/8"}, "10.0.0.1:5", []string{"[2001:db8::7]:99, 10.0.0.2:44"}, "2001:db8::7"},
		{"it reads brackets alone", []string{"10.0.0.0/8"}, "10.0.0.1:5", []string{"[2001:db8::7]"}, "2001:db8::7"},
		{"it unmaps IPv4 in IPv6", []string{"10.0.0.0/8"}, "[::ffff:10.0.0.1]:5", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		{"it drops zones", []string{"fe80::/10"}, "[fe80::1%eth0]:5", []string{"fe80::2%eth1"}, "fe80::2"},
		{"it trusts an IPv6 network", []string{"2001:db8::/32"}, "[2001:db8::1]:5", []string{"198.51.100.7"}, "198.51.100.7"},
		{"it is nothing where sockets have no address", nil, "@", []string{"198.51.100.7"}, "invalid IP"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = tt.remote
			for _, line := range tt.lines {
				r.Header.Add(forwardedFor, line)
			}
			var got, host string
			New(Options{Proxies: prefixes(t, tt.trusted...), Log: quiet()}).
				Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					got = Address(r).String()
					host = peerOf(r).String()
				})).ServeHTTP(httptest.NewRecorder(), r)
			if got != tt.want || host != got {
				t.Errorf("got %s, and %s as RemoteAddr, want %s", got, host, tt.want)
			}
			if r.RemoteAddr != tt.remote {
				t.Errorf("net/http's own request was changed to %s", r.RemoteAddr)
			}
		})
	}
}

func TestAddressWithoutEdge(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "192.0.2.1:5"
	r.Header.Set(forwardedFor, "198.51.100.7")
	if got := Address(r).String(); got != "192.0.2.1" || Local(r) || RequestID(r) != "" {
		t.Errorf("got %s, local %v, id %q", got, Local(r), RequestID(r))
	}
}

// A line as long as a header may be costs little, whoever wrote it.
func TestLongChain(t *testing.T) {
	p := proxies(prefixes(t, "10.0.0.0/8"))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "10.0.0.1:1"
	r.Header.Set(forwardedFor, "198.51.100.7"+strings.Repeat(",10.0.0.2", 2000))
	if got := p.caller(peerOf(r), r.Header).String(); got != "198.51.100.7" {
		t.Errorf("got %s", got)
	}
	if n := testing.AllocsPerRun(10, func() { p.caller(peerOf(r), r.Header) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestLocal(t *testing.T) {
	_, url := serve(t, Options{}, told)
	_, behind := serve(t, Options{Proxies: prefixes(t, "127.0.0.1")}, told)
	tests := []struct {
		name, url string
		fields    []string
		want      string
	}{
		{"a program on this machine is", url, nil, "127.0.0.1 local"},
		{"by the name localhost too", url, []string{"Host: localhost:7900"}, "127.0.0.1 local"},
		{"and by that of IPv6", url, []string{"Host: [::1]"}, "127.0.0.1 local"},
		{"a page that leads its own name here is not", url, []string{"Host: evil.example"}, "127.0.0.1"},
		{"a page is not", url, []string{"Origin: null"}, "127.0.0.1"},
		{"a browser is not", url, []string{"Sec-Fetch-Site: none"}, "127.0.0.1"},
		{"X-Forwarded-For shows a proxy", url, []string{"X-Forwarded-For: 127.0.0.1"}, "127.0.0.1"},
		{"an empty one too", url, []string{"X-Forwarded-For: "}, "127.0.0.1"},
		{"Forwarded shows one", url, []string{"Forwarded: for=127.0.0.1"}, "127.0.0.1"},
		{"X-Real-IP shows one", url, []string{"X-Real-IP: 127.0.0.1"}, "127.0.0.1"},
		{"Via shows one", url, []string{"Via: 1.1 x"}, "127.0.0.1"},
		{"who comes through a trusted proxy is not", behind, []string{"X-Forwarded-For: 127.0.0.1"}, "127.0.0.1"},
		{"and has an address of their own", behind, []string{"X-Forwarded-For: 198.51.100.7"}, "198.51.100.7"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, got := ask(t, http.MethodGet, tt.url, tt.fields...); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	r := httptest.NewRequest(http.MethodGet, "http://localhost/", nil)
	r.RemoteAddr = "10.0.0.1:1"
	if isLocal(peerOf(r), r) {
		t.Error("another machine is local by the name that it calls")
	}
}

func TestUntrustedProxyIsNamedOnce(t *testing.T) {
	var log record
	_, url := serve(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, told)
	for i := range 5 {
		ask(t, http.MethodGet, url, fmt.Sprintf("X-Forwarded-For: 198.51.100.%d", i))
	}
	if got := strings.Count(log.text(), "http.trusted_proxies"); got != 1 {
		t.Errorf("%d warnings:\n%s", got, log.text())
	}
}

package edge

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Local reports whether a request came from a program on this machine, straight
// to the broker: over the loopback, for a loopback name, and without a trace of
// a proxy or of a web page. A request that has not come through Wrap is not
// local.
//
// It is no proof: a proxy on this machine that leaves no trace, such as one that
// forwards TCP, makes its callers local.
func Local(r *http.Request) bool {
	c := callerOf(r)
	return c != nil && c.local
}

// signs are the headers that a proxy adds, or a browser that runs a page.
func signs() [9]string {
	return [...]string{
		"Forwarded", forwardedFor, "X-Real-Ip", "Via", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port",
		"Origin", "Sec-Fetch-Site",
	}
}

func isLocal(peer netip.Addr, r *http.Request) bool {
	if !peer.IsLoopback() || !loopbackName(r.Host) {
		return false
	}
	for _, name := range signs() {
		if r.Header[name] != nil {
			return false
		}
	}
	return true
}

// loopbackName reports whether a Host header names this machine as only itself
// can: a page whose own name leads here sends that name.
func loopbackName(host string) bool {
	if strings.Contains(host, ":") {
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
	}
	if host == "" || host[0] > '9' && host[0] != '[' && host[0] != ':' { // a name
		return host == "localhost"
	}
	addr, ok := parse(host)
	return ok && addr.IsLoopback()
}

package edge

import (
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// forwardedFor is the one header in which a trusted proxy is asked who called
// it. Forwarded and X-Real-Ip are not read: a proxy that does not write them
// passes on a caller's own.
const forwardedFor = "X-Forwarded-For"

// Address returns the network address that a request came from: the socket's,
// or what the trusted proxies say. It has no zone, and an IPv4 address is one,
// however it was written. It is the zero Addr for a socket without an address.
func Address(r *http.Request) netip.Addr {
	if c := callerOf(r); c != nil {
		return c.addr
	}
	return peerOf(r)
}

// peerOf returns the address at the other end of the socket.
func peerOf(r *http.Request) netip.Addr {
	if with, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return with.Addr().Unmap().WithZone("")
	}
	addr, _ := parse(r.RemoteAddr)
	return addr
}

// parse reads an address, with or without a port or a zone.
func parse(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		with, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = with.Addr()
	}
	return addr.Unmap().WithZone(""), true
}

// proxies are the networks of the trusted proxies.
type proxies []netip.Prefix

func (p proxies) trust(addr netip.Addr) bool {
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(addr) })
}

// caller follows the chain of proxies from the socket's other end, peer, to the
// first that is not trusted: all that it says about others is hearsay. When all
// are trusted, the farthest called. What is no address ends the chain, at the
// proxy that wrote it.
func (p proxies) caller(peer netip.Addr, h http.Header) netip.Addr {
	if !p.trust(peer) {
		return peer
	}
	addr := peer
	for _, line := range slices.Backward(h[forwardedFor]) {
		for more := true; more; {
			comma := strings.LastIndexByte(line, ',')
			next, ok := parse(strings.Trim(line[comma+1:], " \t"))
			if !ok {
				return addr
			}
			if addr = next; !p.trust(addr) {
				return addr
			}
			if more = comma >= 0; more {
				line = line[:comma]
			}
		}
	}
	return addr
}

// warn says once that somebody near forwards requests and is not trusted.
func (e *Edge) warn(peer netip.Addr) {
	e.warned.Do(func() {
		e.log.Warn("a proxy is not trusted, so that all who come through it share one address and its limits: if it is yours, list it in http.trusted_proxies",
			slog.String("proxy", peer.String()))
	})
}

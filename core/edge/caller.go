package edge

import (
	"context"
	"net/http"
	"net/netip"
)

// caller is what the edge knows about who sent a request.
type caller struct {
	addr  netip.Addr
	local bool      // see Local
	far   bool      // a trusted proxy is in between
	echo  [1]string // the request's id, as a header holds it
}

// key is the context's key for a *caller.
type key struct{}

// caller looks at a request that has just come.
func (e *Edge) caller(r *http.Request) *caller {
	peer := peerOf(r)
	c := &caller{addr: e.proxies.caller(peer, r.Header), local: isLocal(peer, r)}
	c.far = c.addr != peer
	c.echo[0] = idOf(r)
	if !c.far && r.Header[forwardedFor] != nil && (peer.IsLoopback() || peer.IsPrivate()) && !e.proxies.trust(peer) {
		e.warn(peer)
	}
	return c
}

// request returns r with the caller in its context. RemoteAddr, too, becomes the
// caller's where a proxy is in between, with port 0, so that a handler which
// knows nothing of all this means the same as one which does.
func (c *caller) request(r *http.Request) *http.Request {
	r = r.WithContext(context.WithValue(r.Context(), key{}, c))
	if c.far {
		r.RemoteAddr = netip.AddrPortFrom(c.addr, 0).String()
	}
	return r
}

// callerOf returns what Wrap has found, nil for a request that has not come
// through it.
func callerOf(r *http.Request) *caller {
	c, _ := r.Context().Value(key{}).(*caller)
	return c
}

package edge

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// leastConnections is how many connections an address may always have: a browser
// opens six.
const leastConnections = 16

// Connections returns what an [http.Server] calls when a connection changes its
// state: it closes connections of one address beyond most, at once and without a
// word. An IPv6 address counts by its /64. Sockets do not count: they have a limit
// of their own. A trusted proxy may have any number; so may everybody when most is 0.
func (e *Edge) Connections(most int) func(net.Conn, http.ConnState) {
	if most == 0 {
		return nil
	}
	c := &connections{proxies: e.proxies, most: max(most, leastConnections), of: map[net.Conn]network{}, open: map[network]int{}}
	return c.changed
}

// connections counts connections by where they come from.
type connections struct {
	proxies proxies
	most    int

	mu   sync.Mutex
	of   map[net.Conn]network
	open map[network]int
}

func (c *connections) changed(conn net.Conn, to http.ConnState) {
	switch to {
	case http.StateNew:
		if !c.enter(conn) {
			_ = conn.Close() // nobody has heard of it yet
		}
	case http.StateClosed, http.StateHijacked:
		c.leave(conn)
	default: // active and idle ones count alike
	}
}

func (c *connections) enter(conn net.Conn) bool {
	peer, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil || c.proxies.trust(peer.Addr().Unmap()) {
		return true
	}
	from := networkOf(peer.Addr().Unmap())
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[from] >= c.most {
		return false
	}
	c.open[from]++
	c.of[conn] = from
	return true
}

func (c *connections) leave(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from, ok := c.of[conn]
	if !ok {
		return
	}
	delete(c.of, conn)
	if c.open[from]--; c.open[from] == 0 {
		delete(c.open, from)
	}
}

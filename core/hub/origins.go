package hub

import (
	"net/netip"
	"sync"
)

// origins counts connections by network address, those of IPv6 by their /64:
// whoever has one address of it has all. The zero value is ready to use.
type origins struct {
	mu    sync.Mutex
	count map[string]int
}

// enter counts one more connection from addr, unless limit is reached.
func (o *origins) enter(addr string, limit int) bool {
	addr = origin(addr)
	o.mu.Lock()
	defer o.mu.Unlock()
	if limit > 0 && o.count[addr] >= limit {
		return false
	}
	if o.count == nil {
		o.count = map[string]int{}
	}
	o.count[addr]++
	return true
}

func (o *origins) leave(addr string) {
	addr = origin(addr)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.count[addr]--; o.count[addr] <= 0 {
		delete(o.count, addr)
	}
}

// origin is what connections from an address are counted by.
func origin(addr string) string {
	a, err := netip.ParseAddr(addr)
	if err != nil || a.Unmap().Is4() {
		return addr
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return addr
	}
	return p.String()
}

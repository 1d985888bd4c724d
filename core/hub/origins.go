package hub

import "sync"

// origins counts connections by network address. The zero value is ready to
// use.
type origins struct {
	mu    sync.Mutex
	count map[string]int
}

// enter counts one more connection from addr, unless limit is reached.
func (o *origins) enter(addr string, limit int) bool {
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
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.count[addr]--; o.count[addr] <= 0 {
		delete(o.count, addr)
	}
}

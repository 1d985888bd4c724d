package hub

import "sync"

const (
	// bufferSize is what a fresh buffer holds: a burst of a few pushes.
	bufferSize = 4 << 10

	// bufferMax is the largest buffer that is kept for the next user.
	bufferMax = 64 << 10
)

// bufferPool lends buffers, so that a connection at rest needs none: what one
// gives back, another soon takes.
type bufferPool struct{ pool sync.Pool }

func (p *bufferPool) get() []byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, bufferSize)
}

func (p *bufferPool) put(b []byte) {
	if b == nil || cap(b) > bufferMax {
		return
	}
	p.pool.Put(&b)
}

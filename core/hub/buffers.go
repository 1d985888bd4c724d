package hub

import "sync"

const (
	// bufferSize is what a fresh buffer holds: a burst of a few pushes.
	bufferSize = 4 << 10

	// bufferMax is the largest buffer that is kept for the next user.
	bufferMax = 64 << 10
)

// buffer is bytes that are lent.
type buffer struct{ b []byte }

// bufferPool lends buffers, so that a connection at rest needs none: what one
// gives back, another soon takes.
type bufferPool struct{ pool sync.Pool }

// get returns an empty buffer.
func (p *bufferPool) get() *buffer {
	if b, ok := p.pool.Get().(*buffer); ok {
		b.b = b.b[:0]
		return b
	}
	return &buffer{make([]byte, 0, bufferSize)}
}

// put takes a buffer back; nil is fine.
func (p *bufferPool) put(b *buffer) {
	if b != nil && cap(b.b) <= bufferMax {
		p.pool.Put(b)
	}
}

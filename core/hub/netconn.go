package hub

import (
	"net"
	"time"
)

// The methods below make an Outbox the net.Conn that the WebSocket library
// reads from and writes its control frames to.
var _ net.Conn = (*Outbox)(nil)

// Read reads from the socket.
func (o *Outbox) Read(p []byte) (int, error) { return o.conn.Read(p) }

// Write appends a whole frame that the library has encoded.
func (o *Outbox) Write(p []byte) (int, error) {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return 0, errClosed
	}
	if o.buf == nil {
		o.buf = o.buffers.get()
	}
	o.buf.b = append(o.buf.b, p...)
	o.flushUnlock()
	return len(p), nil
}

// Close writes what waits, for at most closeTimeout, and then closes the
// socket. The library calls it right behind its closing frame.
func (o *Outbox) Close() error {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return nil
	}
	o.closed = true
	if o.writing {
		// flush closes the socket; a write that hangs must not hold it long.
		o.mu.Unlock()
		return o.conn.SetWriteDeadline(time.Now().Add(closeTimeout))
	}
	o.mu.Unlock()
	return o.conn.Close()
}

// LocalAddr returns the socket's own address.
func (o *Outbox) LocalAddr() net.Addr { return o.conn.LocalAddr() }

// RemoteAddr returns the peer's address.
func (o *Outbox) RemoteAddr() net.Addr { return o.conn.RemoteAddr() }

// SetDeadline bounds reads; writes have a bound of their own.
func (o *Outbox) SetDeadline(t time.Time) error { return o.conn.SetReadDeadline(t) }

// SetReadDeadline bounds reads.
func (o *Outbox) SetReadDeadline(t time.Time) error { return o.conn.SetReadDeadline(t) }

// SetWriteDeadline does nothing: flush bounds each write.
func (o *Outbox) SetWriteDeadline(time.Time) error { return nil }

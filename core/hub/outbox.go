package hub

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/wire"
)

const (
	// writeTimeout is how long one write to the socket may take. A peer that
	// takes nothing for so long is as good as gone.
	writeTimeout = 20 * time.Second

	// closeTimeout bounds the last write of a connection that is being closed.
	closeTimeout = 2 * time.Second

	// maxHeader is the longest header of an unmasked WebSocket frame.
	maxHeader = 10

	// First bytes of the frames that an Outbox writes.
	headerText  = finBit | opText
	headerClose = finBit | opClose
	headerPing  = finBit | opPing
	headerPong  = finBit | opPong
)

// errClosed is returned by Accept while the hub closes.
var errClosed = errors.New("shutting down")

// errCrowded is returned by Accept for an address with too many connections.
var errCrowded = errors.New("too many connections from one address")

// Outbox is one peer's bounded list of frames to write. Frames are joined in a
// buffer, and whoever finds nobody writing starts a goroutine that writes until
// the buffer is empty. At rest it holds neither a goroutine nor a buffer.
//
// Behind pushes it writes a ping, at most one at a time. The ping's pong comes
// from the peer's WebSocket library, in order, so it proves that everything
// written before the ping arrived.
//
// All methods may be called concurrently.
type Outbox struct {
	conn    net.Conn
	limit   int // most bytes waiting
	buffers *bufferPool

	mu      sync.Mutex
	buf     *buffer // frames waiting for the socket; nil at rest
	writing bool    // a goroutine is in flush
	closed  bool    // no more frames; the socket closes when buf is empty
	ended   bool    // the close frame was appended, behind which no frame may come
	slow    bool    // the limit was reached
	pushes  uint64  // pushes appended so far
	asked   uint64  // value of pushes when the last ping was written
	pinging bool    // that ping's pong has not come
	onSlow  func()  // called once, without the lock, when the limit is reached
	flushed chan struct{}
}

// newOutbox returns an outbox that writes to conn and owns it.
func newOutbox(conn net.Conn, limit int, buffers *bufferPool) *Outbox {
	return &Outbox{conn: conn, limit: limit, buffers: buffers}
}

// Push appends a text frame that the peer has to confirm. It returns the
// push's number on this connection: [Outbox.Pong] reports the highest number
// that is confirmed. It reports false, and took nothing, when the connection
// is closed or too slow.
//
// It never blocks and copies frame.
func (o *Outbox) Push(frame []byte) (number uint64, ok bool) {
	o.mu.Lock()
	if !o.appendLocked(headerText, frame) {
		return 0, o.refuseLocked()
	}
	o.pushes++
	number = o.pushes
	o.flushUnlock()
	return number, true
}

// Send appends a text frame that needs no confirmation, such as an answer.
func (o *Outbox) Send(frame []byte) bool {
	o.mu.Lock()
	if !o.appendLocked(headerText, frame) {
		return o.refuseLocked()
	}
	o.flushUnlock()
	return true
}

// SendPong answers a ping.
func (o *Outbox) SendPong(payload []byte) {
	o.mu.Lock()
	if !o.appendLocked(headerPong, payload) {
		o.refuseLocked()
		return
	}
	o.flushUnlock()
}

// Finish appends the close frame, behind what waits. Nothing is taken after it;
// a second one is ignored.
func (o *Outbox) Finish(code wire.CloseCode, reason string) {
	o.mu.Lock()
	if o.closed || o.ended {
		o.mu.Unlock()
		return
	}
	if o.pushes > o.asked && !o.pinging {
		o.pingLocked() // its pong may still come in front of the peer's close frame
	}
	o.ended = true
	if o.buf == nil {
		o.buf = o.buffers.get()
	}
	o.buf.b = appendClose(o.buf.b, code, reason)
	o.flushUnlock()
}

// Ping asks the peer for a sign of life, unless a ping is on its way already.
func (o *Outbox) Ping() {
	o.mu.Lock()
	if o.pinging || !o.pingLocked() {
		o.mu.Unlock()
		return
	}
	o.flushUnlock()
}

// Pong takes the payload of a pong and returns the number of the last push
// that it confirms, 0 for none. A pong that answers no ping of ours is ignored.
func (o *Outbox) Pong(payload []byte) (confirmed uint64) {
	if len(payload) != 8 {
		return 0
	}
	number := binary.BigEndian.Uint64(payload)
	o.mu.Lock()
	if !o.pinging || number != o.asked {
		o.mu.Unlock()
		return 0
	}
	o.pinging = false
	if o.pushes > o.asked && o.pingLocked() {
		o.flushUnlock()
		return number
	}
	o.mu.Unlock()
	return number
}

// waiting returns how many bytes nobody writes yet.
func (o *Outbox) waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.waitingLocked()
}

func (o *Outbox) waitingLocked() int {
	if o.buf == nil {
		return 0
	}
	return len(o.buf.b)
}

// Full reports whether n bytes more would fill the second half of the outbox,
// which is for what cannot wait.
func (o *Outbox) Full(n int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	waiting := o.waitingLocked()
	return waiting > 0 && waiting+n > o.limit/2
}

// appendLocked adds one frame, or returns false when it may not.
func (o *Outbox) appendLocked(first byte, payload []byte) bool {
	if o.closed || o.ended || o.slow {
		return false
	}
	if n := o.waitingLocked(); n > 0 && n+len(payload)+maxHeader > o.limit {
		o.slow = true
		return false
	}
	if o.buf == nil {
		o.buf = o.buffers.get()
	}
	o.buf.b = append(appendHeader(o.buf.b, first, len(payload)), payload...)
	return true
}

// refuseLocked releases the lock, tells the owner once that the peer is slow,
// and returns false.
func (o *Outbox) refuseLocked() bool {
	tell := o.onSlow
	if !o.slow || o.closed || o.ended {
		tell = nil
	} else {
		o.onSlow = nil
	}
	o.mu.Unlock()
	if tell != nil {
		tell()
	}
	return false
}

// pingLocked appends a ping that covers every push so far.
func (o *Outbox) pingLocked() bool {
	var payload [8]byte
	binary.BigEndian.PutUint64(payload[:], o.pushes)
	if !o.appendLocked(headerPing, payload[:]) {
		return false
	}
	o.pinging, o.asked = true, o.pushes
	return true
}

// flushUnlock releases the lock after making sure that somebody writes.
func (o *Outbox) flushUnlock() {
	start := !o.writing
	o.writing = true
	o.mu.Unlock()
	if start {
		go o.flush()
	}
}

// flush writes until nothing waits. Only one runs at a time.
func (o *Outbox) flush() {
	for {
		o.mu.Lock()
		if o.waitingLocked() == 0 {
			o.restUnlock()
			return
		}
		if o.pushes > o.asked && !o.pinging {
			o.pingLocked()
		}
		b := o.buf
		o.buf = nil
		timeout := writeTimeout
		if o.closed {
			timeout = closeTimeout
		}
		o.mu.Unlock()

		err := o.conn.SetWriteDeadline(time.Now().Add(timeout))
		if err == nil {
			_, err = o.conn.Write(b.b)
		}
		o.buffers.put(b)
		if err != nil {
			o.fail()
			return
		}
	}
}

// restUnlock ends flush when the buffer is empty.
func (o *Outbox) restUnlock() {
	o.writing = false
	closed := o.closed
	if o.flushed != nil {
		close(o.flushed)
		o.flushed = nil
	}
	o.mu.Unlock()
	if closed {
		_ = o.conn.Close()
	}
}

// fail gives the connection up after a write that did not succeed.
func (o *Outbox) fail() {
	o.mu.Lock()
	o.closed = true
	o.buffers.put(o.buf)
	o.buf = nil
	o.restUnlock()
}

// Flushed returns a channel that is closed when nothing waits any more. After
// a failed write that is the case at once.
func (o *Outbox) Flushed() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.writing {
		done := make(chan struct{})
		close(done)
		return done
	}
	if o.flushed == nil {
		o.flushed = make(chan struct{})
	}
	return o.flushed
}

// dropWaiting forgets what waits, so that a close frame can follow, unless there
// is one.
func (o *Outbox) dropWaiting() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return
	}
	o.slow = true
	o.buffers.put(o.buf)
	o.buf = nil
}

// Close writes what waits, for at most closeTimeout, and then closes the
// socket.
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

// Abort closes the socket at once and forgets what waits.
func (o *Outbox) Abort() {
	o.mu.Lock()
	o.closed = true
	o.buffers.put(o.buf)
	o.buf = nil
	o.mu.Unlock()
	_ = o.conn.Close()
}

// appendHeader appends the header of an unmasked, unfragmented frame.
func appendHeader(b []byte, first byte, n int) []byte {
	switch {
	case n < 126:
		return append(b, first, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, first, 126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(b, first, 127), uint64(n))
	}
}

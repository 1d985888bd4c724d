package hub

import (
	"errors"
	"net"
	"sync/atomic"
)

// minRoom is the least that a full buffer grows by.
const minRoom = 512

// errTooLong is returned for a message over the limit. Its payload is still to
// be read: see reader.discard.
var errTooLong = errors.New("message over the limit")

// reader reads a peer's frames (RFC 6455, 5). Between two frames it holds no
// buffer: it borrows one when the socket has something to read, and gives it
// back when nothing is left.
//
// Only one goroutine may use it; limit alone may be set by others.
type reader struct {
	limit   atomic.Int64 // of a message's payload, in bytes
	discard bool         // take no more messages: skip their payloads

	conn    socket
	buffers *bufferPool
	buf     *buffer // what was read; nil at rest
	off     int     // where what was not looked at yet begins in it
	skip    uint64  // bytes of a payload that are still to be skipped

	// A message in parts.
	open  bool    // its last frame has not come
	whole bool    // it was handed out
	parts *buffer // its payloads so far; nil without such a message
}

// start makes r read from conn, from which early was read already.
func (r *reader) start(conn net.Conn, early []byte, buffers *bufferPool) {
	r.buffers = buffers
	if len(early) > 0 {
		r.buf = buffers.get()
		r.buf.b = append(r.buf.b, early...)
	}
	r.conn.start(r, conn)
}

// next returns the next message or control frame; a message, text or binary,
// has the opcode of a text. The payload is valid until the next call. Errors are
// those of the connection, a breach, or errTooLong.
func (r *reader) next() (opcode byte, payload []byte, err error) {
	r.release()
	for {
		h, size, err := r.header()
		if err != nil {
			return 0, nil, err
		}
		if h.opcode&controlBit == 0 && r.discard {
			r.off += size
			r.skip = h.length
			continue
		}
		if payload, err = r.payload(h, size); err != nil {
			return 0, nil, err
		}
		if h.opcode&controlBit != 0 {
			return h.opcode, payload, nil
		}
		if message, whole := r.join(h, payload); whole {
			return opText, message, nil
		}
	}
}

// header waits for the next header, and leaves it unread. It refuses one that
// does not fit what came before it.
func (r *reader) header() (h header, size int, err error) {
	for {
		if r.skipped() {
			h, size, err = parseHeader(r.unread())
		}
		if err != nil || size > 0 {
			break
		}
		if err := r.fill(0); err != nil {
			return h, 0, err
		}
	}
	switch {
	case err != nil || h.opcode&controlBit != 0 || r.discard:
	case h.opcode == opContinuation && !r.open:
		err = breach("continuation of no message")
	case h.opcode != opContinuation && r.open:
		err = breach("message within a message")
	}
	return h, size, err
}

// payload waits for the payload behind a header, and takes both. It returns
// errTooLong, and takes nothing, when more has come than the limit allows.
func (r *reader) payload(h header, size int) ([]byte, error) {
	for {
		most := uint64(maxControl)
		if h.opcode&controlBit == 0 {
			most = r.most()
		}
		need := size + int(min(h.length, most+1))
		if len(r.unread()) < need {
			if err := r.fill(need); err != nil {
				return nil, err
			}
			continue
		}
		if h.length > most {
			return nil, errTooLong
		}
		payload := r.unread()[size:need:need]
		r.off += need
		unmask(payload, h.mask)
		return payload, nil
	}
}

// most returns how many bytes a message may still have.
func (r *reader) most() uint64 {
	n := r.limit.Load()
	if r.parts != nil {
		n -= int64(len(r.parts.b))
	}
	return uint64(max(0, n))
}

// join returns a message that is whole with this frame.
func (r *reader) join(h header, payload []byte) (message []byte, whole bool) {
	if h.fin && !r.open {
		return payload, true
	}
	if r.parts == nil {
		r.parts = r.buffers.get()
	}
	r.parts.b = append(r.parts.b, payload...)
	r.open, r.whole = !h.fin, h.fin
	return r.parts.b, h.fin
}

// release gives back what the last message was joined in.
func (r *reader) release() {
	if r.whole {
		r.buffers.put(r.parts)
		r.parts, r.whole = nil, false
	}
}

// close gives all buffers back.
func (r *reader) close() {
	r.buffers.put(r.parts)
	r.buffers.put(r.buf)
	r.parts, r.buf = nil, nil
}

// unread returns what was read and not looked at yet.
func (r *reader) unread() []byte {
	if r.buf == nil {
		return nil
	}
	return r.buf.b[r.off:]
}

// skipped skips what is to be skipped, and reports whether it was all there.
func (r *reader) skipped() bool {
	n := min(r.skip, uint64(len(r.unread())))
	r.off += int(n)
	r.skip -= n
	return r.skip == 0
}

// drain reads and forgets until the connection ends.
func (r *reader) drain() {
	for {
		if r.buf != nil {
			r.off = len(r.buf.b)
		}
		if err := r.fill(0); err != nil {
			return
		}
	}
}

// fill reads at least a byte more. A frame of which need bytes are expected may
// take a larger buffer; it grows with what has come, and not with what a peer
// says will come.
func (r *reader) fill(need int) error {
	if r.buf != nil {
		r.makeRoom(need)
	}
	return r.conn.read(r)
}

func (r *reader) makeRoom(need int) {
	b := r.buf.b
	if r.off > 0 {
		b = b[:copy(b, b[r.off:])]
		r.off = 0
	}
	if len(b) == cap(b) {
		larger := make([]byte, len(b), max(min(2*cap(b), need), cap(b)+minRoom))
		copy(larger, b)
		b = larger
	}
	r.buf.b = b
}

// room returns where the next bytes go, borrowing a buffer if need be.
func (r *reader) room() []byte {
	if r.buf == nil {
		r.buf, r.off = r.buffers.get(), 0
	}
	return r.buf.b[len(r.buf.b):cap(r.buf.b)]
}

// took takes n bytes that were read into room.
func (r *reader) took(n int) { r.buf.b = r.buf.b[:len(r.buf.b)+n] }

// rest gives the buffer back when nothing is in it. It reports whether it did.
func (r *reader) rest() bool {
	if r.buf != nil {
		if len(r.buf.b) > 0 {
			return false
		}
		r.buffers.put(r.buf)
		r.buf = nil
	}
	return true
}

package hub

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/claudemesh/broker/core/wire"
)

// Opcodes of frames (RFC 6455, 5.2).
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
)

const (
	finBit      = 0x80 // of the first byte: the last frame of its message
	reservedBit = 0x70 // of the first byte: extensions, which we never agree to
	controlBit  = 0x08 // of an opcode: close, ping, pong
	maskBit     = 0x80 // of the second byte

	// maxControl is the longest payload of a control frame.
	maxControl = 125
)

// header is what comes before a frame's payload.
type header struct {
	fin    bool
	opcode byte
	mask   uint32 // its first byte is the lowest
	length uint64 // of the payload
}

// parseHeader reads the header that b begins with. The size is that of the
// header, 0 when b does not have all of it.
//
// What RFC 6455 forbids of a single frame is refused as soon as its bytes are
// there. Lengths that could have been written shorter are let pass: they are
// forbidden too, and do no harm.
func parseHeader(b []byte) (h header, size int, err error) {
	if len(b) < 2 {
		return h, 0, nil
	}
	h.fin, h.opcode = b[0]&finBit != 0, b[0]&0xf
	switch {
	case b[0]&reservedBit != 0:
		return h, 0, breach("reserved bits are set")
	case h.opcode > opPong, h.opcode > opBinary && h.opcode < opClose:
		return h, 0, breach("unknown opcode")
	case b[1]&maskBit == 0:
		return h, 0, breach("frames must be masked")
	case h.opcode&controlBit != 0 && !h.fin:
		return h, 0, breach("control frames must not be fragmented")
	}
	h.length, size = uint64(b[1]&^maskBit), 2
	switch h.length {
	case 126:
		size = 4
	case 127:
		size = 10
	}
	if len(b) < size+4 {
		return h, 0, nil
	}
	switch size {
	case 4:
		h.length = uint64(binary.BigEndian.Uint16(b[2:]))
	case 10:
		h.length = binary.BigEndian.Uint64(b[2:])
	}
	switch {
	case h.length>>63 != 0:
		return h, 0, breach("length with its highest bit set")
	case h.opcode&controlBit != 0 && h.length > maxControl:
		return h, 0, breach("control frames have at most 125 bytes")
	}
	h.mask = binary.LittleEndian.Uint32(b[size:])
	return h, size + 4, nil
}

// breach is what a peer did that the protocol forbids.
type breach string

// Error implements error.
func (b breach) Error() string { return string(b) }

// unmask takes a payload's mask off.
func unmask(b []byte, mask uint32) {
	if mask == 0 {
		return
	}
	word := uint64(mask)<<32 | uint64(mask)
	for len(b) >= 32 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^word)
		binary.LittleEndian.PutUint64(b[8:], binary.LittleEndian.Uint64(b[8:])^word)
		binary.LittleEndian.PutUint64(b[16:], binary.LittleEndian.Uint64(b[16:])^word)
		binary.LittleEndian.PutUint64(b[24:], binary.LittleEndian.Uint64(b[24:])^word)
		b = b[32:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^word)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(word >> (8 * i))
	}
}

// noStatus stands for a close frame without a code. It is never written.
const noStatus wire.CloseCode = 1005

// parseClose reads the payload of a close frame.
func parseClose(payload []byte) (wire.CloseCode, error) {
	switch len(payload) {
	case 0:
		return noStatus, nil
	case 1:
		return 0, breach("half a close code")
	}
	code := wire.CloseCode(binary.BigEndian.Uint16(payload))
	switch {
	case !sendable(code):
		return 0, breach("no such close code")
	case !utf8.Valid(payload[2:]):
		return 0, breach("reason of the close is not UTF-8")
	}
	return code, nil
}

// sendable reports whether a close frame may have a code: those that are
// registered, and the two ranges for libraries and for applications.
func sendable(c wire.CloseCode) bool {
	switch {
	case c == 1004, c == noStatus, c == 1006:
		return false
	case c >= 1000 && c <= 1014:
		return true
	}
	return c >= 3000 && c <= 4999
}

// appendClose appends a close frame. A reason that does not fit is cut short.
func appendClose(b []byte, code wire.CloseCode, reason string) []byte {
	if code == noStatus {
		return appendHeader(b, headerClose, 0)
	}
	reason = reason[:min(len(reason), maxControl-2)]
	b = appendHeader(b, headerClose, 2+len(reason))
	b = binary.BigEndian.AppendUint16(b, uint16(code))
	return append(b, reason...)
}

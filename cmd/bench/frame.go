package main

import (
	"encoding/binary"
	"errors"
)

// Opcodes of WebSocket frames (RFC 6455, 5.2).
const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xa
)

var errFrame = errors.New("the server sent a frame that no server should: masked, or in fragments")

// parseFrame finds the frame at the beginning of b. The payload is a part of b,
// size what the frame takes of it; size 0 means that the frame is not whole yet.
func parseFrame(b []byte) (op byte, payload []byte, size int, err error) {
	if len(b) < 2 {
		return 0, nil, 0, nil
	}
	if b[0]&0x80 == 0 || b[1]&0x80 != 0 {
		return 0, nil, 0, errFrame
	}
	n, head := int(b[1]), 2
	switch {
	case n == 126 && len(b) >= 4:
		n, head = int(binary.BigEndian.Uint16(b[2:])), 4
	case n == 127 && len(b) >= 10:
		n, head = int(binary.BigEndian.Uint64(b[2:])), 10
	case n >= 126:
		return 0, nil, 0, nil
	}
	if len(b) < head+n {
		return 0, nil, 0, nil
	}
	return b[0] & 0xf, b[head : head+n], head + n, nil
}

// mask is what every frame is masked with. It protects nobody here; the server
// has its work with it all the same.
const mask uint32 = 0x37fa213d

// appendFrame appends a whole masked frame.
func appendFrame(dst []byte, op byte, payload []byte) []byte {
	const masked = 0x80
	dst = append(dst, 0x80|op)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, masked|byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, masked|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, masked|127), uint64(n))
	}
	dst = binary.LittleEndian.AppendUint32(dst, mask)
	start := len(dst)
	dst = append(dst, payload...)
	maskBytes(dst[start:])
	return dst
}

// maskBytes puts the mask over b.
func maskBytes(b []byte) {
	const twice = uint64(mask)<<32 | uint64(mask)
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^twice)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(mask >> (8 * (i % 4)))
	}
}

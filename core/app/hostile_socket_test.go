package app_test

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/store"
)

// Opcodes of WebSocket frames (RFC 6455, 5.2), and the bit that ends a message.
const (
	opContinue = 0x0
	opText     = 0x1
	opReserved = 0x3
	opClose    = 0x8
	opPing     = 0x9
	fin        = 0x80
	masked     = 0x80
)

// rawFrame is a masked frame whose first byte is given. The mask changes nothing.
func rawFrame(first byte, payload string) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, masked|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, masked|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, masked|127), uint64(n))
	}
	return append(append(b, 0, 0, 0, 0), payload...)
}

// What breaks the rules of WebSocket ends its own connection and nothing else.
func TestBrokenWebSockets(t *testing.T) {
	r := newRig(t, nil)
	served := r.pair()
	id := session(r.member("eve", store.RoleMember))
	before := runtime.NumGoroutine()
	info := `{"type":"mesh_info"}`
	tests := []struct {
		name  string
		bytes []byte
	}{
		{"a frame that is not masked", append([]byte{fin | opText, byte(len(info))}, info...)},
		{"an opcode of nothing", rawFrame(fin|opReserved, info)},
		{"reserved bits", rawFrame(fin|0x70|opText, info)},
		{"the second part of nothing", rawFrame(fin|opContinue, info)},
		{"a message within a message", append(rawFrame(opText, "{"), rawFrame(fin|opText, info)...)},
		{"a ping in parts", rawFrame(opPing, "x")},
		{"a ping that is too long", rawFrame(fin|opPing, strings.Repeat("x", 126))},
		{"a close with half a code", rawFrame(fin|opClose, "\x03")},
		{"a close with a code that is none", rawFrame(fin|opClose, "\x00\x01")},
		{"a close with a reason that is not UTF-8", rawFrame(fin|opClose, "\x03\xe8\xff\xfe")},
		{"a length below nothing", []byte{fin | opText, masked | 127, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
		{"no WebSocket at all", []byte("GET / HTTP/1.1\r\n\r\n")},
	}
	for _, tt := range tests {
		for _, greeted := range []bool{false, true} {
			name := map[bool]string{false: " before the hello", true: " after the hello"}[greeted]
			t.Run("it ends a connection with "+tt.name+name, func(t *testing.T) {
				s := open(t, r.url, socketOptions{})
				if greeted {
					s.write(r.vouched(id, time.Now()).String())
					s.wantFrame("hello_ack")
				}
				if _, err := s.line.Write(tt.bytes); err != nil {
					t.Fatal(err)
				}
				s.closed()
			})
		}
	}
	r.wantServed(served, "after")
	eventually(t, "the connections to be gone", func() bool { return r.app.Peers() == 2 })
	r.wantGoroutines(before)
}

// A message may come in parts, with pings between them.
func TestMessagesInParts(t *testing.T) {
	r := newRig(t, nil)
	hello := r.hello(r.member("ada", store.RoleMember), time.Now()).String()
	var b bytes.Buffer
	b.Write(rawFrame(opText, hello[:10]))
	b.Write(rawFrame(fin|opPing, "are you there"))
	b.Write(rawFrame(opContinue, hello[10:100]))
	b.Write(rawFrame(opContinue, ""))
	b.Write(rawFrame(fin|opContinue, hello[100:]))
	b.Write(rawFrame(fin|opText, `{"type":"mesh_info","_reqId":1}`))
	s := open(t, r.url, socketOptions{})
	if _, err := s.line.Write(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	s.wantFrame("hello_ack")
	s.wantFrame("mesh_info_result")

	// The parts of a message count together.
	part := strings.Repeat(" ", 1<<20)
	for range 3 {
		if _, err := s.line.Write(rawFrame(opText, part)); err != nil {
			break
		}
		if _, err := s.line.Write(append(rawFrame(opContinue, part), rawFrame(opContinue, part)...)); err != nil {
			break
		}
	}
	if code, reason := s.closed(); code != 1009 {
		t.Errorf("closed: got %d %s, want 1009", code, reason)
	}
}

package hub

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func TestUnmaskAsOneWouldByteByByte(t *testing.T) {
	const mask = 0x04030281
	key := binary.LittleEndian.AppendUint32(nil, mask)
	for n := range 100 {
		for start := range 8 {
			b := bytes.Repeat([]byte{0xa5}, start+n+8)
			want := bytes.Clone(b)
			for i := range n {
				want[start+i] ^= key[i%4]
			}
			if unmask(b[start:start+n], mask); !bytes.Equal(b, want) {
				t.Fatalf("%d bytes from %d on: got %x, want %x", n, start, b, want)
			}
		}
	}
}

func TestParseHeader(t *testing.T) {
	key := [4]byte{1, 2, 3, 4}
	tests := []struct {
		name string
		b    []byte
		want header
		size int
		err  string
	}{
		{"text", masked(finBit|opText, make([]byte, 125), key), header{true, opText, 0x04030201, 125}, 6, ""},
		{"first part", masked(opBinary, make([]byte, 126), key), header{false, opBinary, 0x04030201, 126}, 8, ""},
		{"long", masked(finBit|opContinuation, make([]byte, 1<<16), key), header{true, opContinuation, 0x04030201, 1 << 16}, 14, ""},
		{"a length that could be shorter", []byte{finBit | opPing, maskBit | 126, 0, 5, 1, 2, 3, 4}, header{true, opPing, 0x04030201, 5}, 8, ""},
		{"the largest length", []byte{finBit | opText, maskBit | 127, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0}, header{true, opText, 0, 1<<63 - 1}, 14, ""},
		{"a larger one", []byte{finBit | opText, maskBit | 127, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, header{}, 0, "length with its highest bit set"},
		{"not masked", []byte{finBit | opText, 1, 'x'}, header{}, 0, "frames must be masked"},
		{"reserved bit", []byte{finBit | 0x40 | opText, maskBit}, header{}, 0, "reserved bits are set"},
		{"opcode 3", []byte{finBit | 3, maskBit}, header{}, 0, "unknown opcode"},
		{"opcode 15", []byte{finBit | 15, maskBit}, header{}, 0, "unknown opcode"},
		{"ping in parts", []byte{opPing, maskBit}, header{}, 0, "control frames must not be fragmented"},
		{"long ping", masked(finBit|opPing, make([]byte, 126), key), header{}, 0, "control frames have at most 125 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, size, err := parseHeader(tt.b)
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("got %+v, %v, want the error %s", h, err, tt.err)
				}
				return
			}
			if h != tt.want || size != tt.size || err != nil {
				t.Errorf("got %+v, %d, %v, want %+v, %d", h, size, err, tt.want, tt.size)
			}
			for n := range size {
				if _, size, err := parseHeader(tt.b[:n]); size != 0 || err != nil {
					t.Errorf("the first %d bytes: got %d, %v, want more asked for", n, size, err)
				}
			}
		})
	}
}

func TestParseClose(t *testing.T) {
	code := func(n uint16, reason string) []byte { return append(binary.BigEndian.AppendUint16(nil, n), reason...) }
	for _, tt := range []struct {
		name    string
		payload []byte
		want    int
	}{
		{"nothing", nil, 1005},
		{"a code", code(1000, ""), 1000},
		{"a code of an application, with a reason", code(4008, "slow"), 4008},
		{"half a code", []byte{3}, -1},
		{"a code that is never sent", code(1006, ""), -1},
		{"no status, said", code(1005, ""), -1},
		{"a code of nobody", code(2999, ""), -1},
		{"a code beyond all", code(5000, ""), -1},
		{"a reason that is not UTF-8", code(1000, "\xff"), -1},
	} {
		got, err := parseClose(tt.payload)
		if tt.want < 0 && err == nil || tt.want >= 0 && (err != nil || int(got) != tt.want) {
			t.Errorf("%s: got %d, %v, want %d", tt.name, got, err, tt.want)
		}
	}
}

package graph

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// structure is a node, a relationship or a message of Bolt.
type structure struct {
	tag    byte
	fields []any
}

// pack appends a value in PackStream, the encoding of Bolt.
func pack(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, 0xc0)
	case bool:
		return append(b, map[bool]byte{false: 0xc2, true: 0xc3}[v])
	case int:
		return binary.BigEndian.AppendUint64(append(b, 0xcb), uint64(v)) //nolint:gosec // two's complement is meant
	case float64:
		return binary.BigEndian.AppendUint64(append(b, 0xc1), math.Float64bits(v))
	case string:
		return append(binary.BigEndian.AppendUint32(append(b, 0xd2), uint32(len(v))), v...) //nolint:gosec // short
	case []any:
		b = binary.BigEndian.AppendUint32(append(b, 0xd6), uint32(len(v))) //nolint:gosec // short
		for _, e := range v {
			b = pack(b, e)
		}
		return b
	case map[string]any:
		b = binary.BigEndian.AppendUint32(append(b, 0xda), uint32(len(v))) //nolint:gosec // short
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			b = pack(pack(b, name), v[name])
		}
		return b
	case structure:
		b = append(b, 0xb0|byte(len(v.fields)), v.tag)
		for _, f := range v.fields {
			b = pack(b, f)
		}
		return b
	}
	panic(fmt.Sprintf("no %T in PackStream", v))
}

// unpack reads one value of what a driver sends.
func unpack(b []byte) (v any, rest []byte) {
	head, b := b[0], b[1:]
	size := func(n int) int {
		var wide [8]byte
		copy(wide[8-n:], b)
		b = b[n:]
		return int(binary.BigEndian.Uint64(wide[:])) //nolint:gosec // two's complement is meant
	}
	switch {
	case head < 0x80:
		return int(head), b
	case head >= 0xf0:
		return int(head) - 256, b
	case head < 0x90:
		n := int(head & 15)
		return string(b[:n]), b[n:]
	case head < 0xa0:
		return unpackList(int(head&15), b)
	case head < 0xb0:
		return unpackMap(int(head&15), b)
	case head < 0xc0:
		tag, b := b[0], b[1:]
		fields, b := unpackList(int(head&15), b)
		return structure{tag, fields.([]any)}, b
	}
	switch head {
	case 0xc0:
		return nil, b
	case 0xc1:
		return math.Float64frombits(uint64(size(8))), b //nolint:gosec // bits
	case 0xc2, 0xc3:
		return head == 0xc3, b
	case 0xc8:
		return int(int8(size(1))), b
	case 0xc9:
		return int(int16(size(2))), b
	case 0xca:
		return int(int32(size(4))), b
	case 0xcb:
		return size(8), b
	case 0xd0, 0xd1, 0xd2:
		n := size(1 << (head - 0xd0))
		return string(b[:n]), b[n:]
	case 0xd4, 0xd5, 0xd6:
		n := size(1 << (head - 0xd4))
		return unpackList(n, b)
	case 0xd8, 0xd9, 0xda:
		n := size(1 << (head - 0xd8))
		return unpackMap(n, b)
	}
	return nil, unpackFail(head)
}

func unpackFail(head byte) []byte { panic(fmt.Sprintf("PackStream: %#x", head)) }

func unpackList(n int, b []byte) (any, []byte) {
	list := make([]any, n)
	for i := range list {
		list[i], b = unpack(b)
	}
	return list, b
}

func unpackMap(n int, b []byte) (any, []byte) {
	m := make(map[string]any, n)
	for range n {
		var name any
		name, b = unpack(b)
		m[name.(string)], b = unpack(b)
	}
	return m, b
}

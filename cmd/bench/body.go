package main

import "bytes"

// stampSize is the length of a stamp, and of the smallest body.
const stampSize = 8 + 8 + 16

// stamp is what a body says about itself: who sent it, as how manieth to this
// recipient, and when, in nanoseconds of the fleet's clock. It is written in
// hex; behind it comes a filling that depends on it, so that damage shows.
type stamp struct {
	from, seq uint32
	at        int64
}

// bodies makes and checks bodies of one size.
type bodies struct {
	size  int
	noise []byte // fillings are parts of it
}

// offsets is the number of different fillings.
const offsets = 4 << 10

func newBodies(size int) *bodies {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	b := &bodies{size: max(size, stampSize), noise: make([]byte, offsets+size)}
	state := uint64(1)
	for i := range b.noise {
		b.noise[i] = alphabet[int(random(&state)%uint64(len(alphabet)))]
	}
	return b
}

// random returns the next number of a xorshift sequence. The state must not be 0.
func random(state *uint64) uint64 {
	x := *state
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	*state = x
	return x >> 11 // the low bits are the poor ones
}

// put writes the body of a stamp into dst, which has the size of a body.
func (b *bodies) put(dst []byte, s stamp) {
	putHex(dst[:8], uint64(s.from))
	putHex(dst[8:16], uint64(s.seq))
	putHex(dst[16:32], uint64(s.at))
	copy(dst[stampSize:], b.filling(s))
}

func (b *bodies) filling(s stamp) []byte {
	at := (s.from*31 + s.seq*7) % offsets
	return b.noise[at : int(at)+b.size-stampSize]
}

// read returns the stamp of a body, and false when the body is damaged.
func (b *bodies) read(body []byte) (s stamp, ok bool) {
	if len(body) != b.size {
		return s, false
	}
	from, ok1 := readHex(body[:8])
	seq, ok2 := readHex(body[8:16])
	at, ok3 := readHex(body[16:32])
	s = stamp{uint32(from), uint32(seq), int64(at)}
	return s, ok1 && ok2 && ok3 && bytes.Equal(body[stampSize:], b.filling(s))
}

// putHex writes the low digits of v, as many as dst is long.
func putHex(dst []byte, v uint64) {
	const digits = "0123456789abcdef"
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = digits[v&0xf]
		v >>= 4
	}
}

func readHex(src []byte) (v uint64, ok bool) {
	for _, c := range src {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		default:
			return 0, false
		}
		v = v<<4 | uint64(c)
	}
	return v, true
}

package identity

import (
	crand "crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"sync"
)

// IDSize is the length of every id that [NewID] makes.
const IDSize = 32

// idAlphabet has 62 characters, so six random bits choose one; the two values
// left over are thrown away, which keeps the choice even.
const idAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// streams holds cipher streams, each seeded once from the system, so that an id
// costs neither a system call nor a lock. One stream serves one goroutine at a
// time.
var streams = sync.Pool{New: func() any {
	var seed [32]byte
	crand.Read(seed[:]) // never fails: it ends the process instead
	return rand.NewChaCha8(seed)
}}

// NewID returns 32 random characters from A-Z, a-z and 0-9, some 190 bits.
//
// Nobody outside can guess an id, but ids are no secrets: they appear in logs
// and peers see each other's. Tokens come from crypto/rand. Safe for concurrent
// use.
func NewID() string {
	var id [IDSize]byte
	stream := streams.Get().(*rand.ChaCha8)
	for n := 0; n < IDSize; {
		bits := stream.Uint64()
		for i := 0; i < 64/6 && n < IDSize; i++ {
			if c := bits >> (6 * i) & 63; c < uint64(len(idAlphabet)) {
				id[n] = idAlphabet[c]
				n++
			}
		}
	}
	streams.Put(stream)
	return string(id[:])
}

// NewUUID returns a random UUID (version 4) as text. What [NewID] says about
// secrets and concurrency holds here too.
func NewUUID() string {
	var u [16]byte
	stream := streams.Get().(*rand.ChaCha8)
	binary.LittleEndian.PutUint64(u[:8], stream.Uint64())
	binary.LittleEndian.PutUint64(u[8:], stream.Uint64())
	streams.Put(stream)
	u[6] = u[6]&0x0f | 0x40 // version 4
	u[8] = u[8]&0x3f | 0x80 // variant of RFC 9562

	var text [36]byte
	hex.Encode(text[0:8], u[0:4])
	hex.Encode(text[9:13], u[4:6])
	hex.Encode(text[14:18], u[6:8])
	hex.Encode(text[19:23], u[8:10])
	hex.Encode(text[24:36], u[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}

package identity

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"

	"github.com/claudemesh/broker/sdk"
)

// ErrSignature is returned by [ParseSignature] for text that is not a signature.
var ErrSignature = errors.New("a signature is 128 hex digits")

// The y coordinates, little-endian and with the sign bit of x cleared, of every
// encoding that decodes to one of the eight points of small order. The last two
// are the values p and p+1, which decoders reduce to 0 and 1. A test derives
// the list again from the curve.
const (
	orderOne       = "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	orderTwo       = "\xec\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"
	orderFour      = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	orderEightA    = "\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05"
	orderEightB    = "\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a"
	orderFourPlusP = "\xed\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"
	orderOnePlusP  = "\xee\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"
)

// Bytes of an encoded point: the field's prime p = 2^255 - 19 is ed ff … ff 7f.
const (
	primeFirst = 0xed
	primeLast  = 0x7f
	signBit    = 0x80 // in the last byte: the sign of x
)

// Verify reports whether sig is pub's ed25519 signature over msg.
//
// It is stricter than [ed25519.Verify], which takes some keys under which one
// signature is good for every text: keys of small order are refused, and so are
// keys that are not the one encoding of their point, and signatures whose first
// half is a point of small order. Those extra tests compare bytes and cost some
// nanoseconds, against tens of microseconds for the signature itself. The group
// equation is checked without the cofactor, and a scalar that is not reduced is
// refused by the standard library. Keys with a small-order part on top of a
// large one pass: whoever made one also holds its secret.
//
// Any length of sig is allowed; only 64 bytes can be good.
func Verify(pub sdk.Key, msg, sig []byte) bool {
	if len(sig) != ed25519.SignatureSize || !canonicalPoint(pub) || SmallOrder(pub) {
		return false
	}
	if SmallOrder(sdk.Key(sig[:sdk.KeySize])) {
		return false
	}
	return ed25519.Verify(pub[:], msg, sig)
}

// SmallOrder reports whether key encodes, in whatever way, one of the eight
// points whose order divides the curve's cofactor. Nobody owns such a key:
// signatures under it can be made without a secret.
func SmallOrder(key sdk.Key) bool {
	key[sdk.KeySize-1] &^= signBit
	switch string(key[:]) {
	case orderOne, orderTwo, orderFour, orderEightA, orderEightB, orderFourPlusP, orderOnePlusP:
		return true
	}
	return false
}

// canonicalPoint reports whether the y coordinate is below the field's
// prime. The other non-canonical form, x = 0 with its sign bit set, is
// of small order and left to [SmallOrder].
func canonicalPoint(key sdk.Key) bool {
	if key[sdk.KeySize-1]&^signBit != primeLast || key[0] < primeFirst {
		return true
	}
	for _, b := range key[1 : sdk.KeySize-1] {
		if b != 0xff {
			return true
		}
	}
	return false
}

// ParseSignature reads 128 hex digits in either case.
func ParseSignature(s string) ([ed25519.SignatureSize]byte, error) {
	var sig [ed25519.SignatureSize]byte
	if len(s) != 2*ed25519.SignatureSize {
		return sig, ErrSignature
	}
	if _, err := hex.Decode(sig[:], []byte(s)); err != nil {
		return [ed25519.SignatureSize]byte{}, ErrSignature
	}
	return sig, nil
}

package sdk

import (
	"encoding/hex"
	"errors"
)

// KeySize is the length of an ed25519 public key in bytes.
const KeySize = 32

// ErrKey is returned by [ParseKey] for text that is not a key.
var ErrKey = errors.New("a key is 64 hex digits")

// Key is an ed25519 public key: of a member, or of one of its sessions. Keys
// are comparable and may be used as map keys; the zero Key stands for "none".
type Key [KeySize]byte

// ParseKey reads 64 hex digits in either case. Two spellings of one key give
// the same Key, so a key can never be enrolled twice by changing its case.
func ParseKey(s string) (Key, error) {
	var k Key
	if len(s) != 2*KeySize {
		return Key{}, ErrKey
	}
	if _, err := hex.Decode(k[:], []byte(s)); err != nil {
		return Key{}, ErrKey
	}
	return k, nil
}

// String returns the key as 64 lower-case hex digits, its form on the wire.
func (k Key) String() string {
	var b [2 * KeySize]byte
	hex.Encode(b[:], k[:])
	return string(b[:])
}

// AppendHex appends the 64 lower-case hex digits of k to b.
func (k Key) AppendHex(b []byte) []byte {
	return hex.AppendEncode(b, k[:])
}

// IsZero reports whether k is the zero Key, which names nobody.
func (k Key) IsZero() bool { return k == Key{} }

// MarshalText gives the wire form; the zero Key gives an empty text.
func (k Key) MarshalText() ([]byte, error) {
	if k.IsZero() {
		return nil, nil
	}
	return k.AppendHex(nil), nil
}

// UnmarshalText reads the wire form; an empty text gives the zero Key.
func (k *Key) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*k = Key{}
		return nil
	}
	parsed, err := ParseKey(string(b))
	if err != nil {
		return err
	}
	*k = parsed
	return nil
}

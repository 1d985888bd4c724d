package identity

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
)

// AtRestKeySize is the length of an at-rest key in bytes (AES-256).
const AtRestKeySize = 32

// Sizes of the parts before the ciphertext in a blob.
const (
	atRestIV  = 12
	atRestTag = 16
)

// Errors of the at-rest cipher. Neither repeats a key or a plaintext.
var (
	ErrAtRestKey = errors.New("an at-rest key is 64 hex digits")
	ErrAtRest    = errors.New("at-rest blob cannot be opened")
)

// AtRest seals short values before they are written to the database, with
// AES-256-GCM. A blob is base64 (standard, padded) of the 12-byte IV, the
// 16-byte tag and the ciphertext, in that order. Its methods may be called
// concurrently.
//
// IVs are random, so one key should seal fewer than 2^32 values.
type AtRest struct {
	aead cipher.AEAD
	key  [AtRestKeySize]byte
}

// NewAtRest makes the cipher from a raw key.
func NewAtRest(key [AtRestKeySize]byte) *AtRest {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // only a wrong key size, which the type excludes
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // only a block size other than AES's
	}
	return &AtRest{aead: aead, key: key}
}

// Key returns the raw key, which keys of other purposes are derived from. It is
// not used for anything else.
func (a *AtRest) Key() [AtRestKeySize]byte { return a.key }

// ParseAtRest makes the cipher from 64 hex digits in either case. Any other
// text gives [ErrAtRestKey].
func ParseAtRest(keyHex string) (*AtRest, error) {
	var key [AtRestKeySize]byte
	if len(keyHex) != 2*AtRestKeySize {
		return nil, ErrAtRestKey
	}
	if _, err := hex.Decode(key[:], []byte(keyHex)); err != nil {
		return nil, ErrAtRestKey
	}
	return NewAtRest(key), nil
}

// Seal returns a blob of plaintext under a fresh random IV: sealing one value
// twice gives two different blobs.
func (a *AtRest) Seal(plaintext []byte) string {
	var iv [atRestIV]byte
	rand.Read(iv[:]) // never fails: it ends the process instead
	return a.sealWith(iv, plaintext)
}

// sealWith is Seal under a chosen IV, which must never be used twice.
func (a *AtRest) sealWith(iv [atRestIV]byte, plaintext []byte) string {
	sealed := a.aead.Seal(nil, iv[:], plaintext, nil) // ciphertext, then tag
	tag := len(sealed) - atRestTag
	blob := make([]byte, 0, atRestIV+len(sealed))
	blob = append(blob, iv[:]...)
	blob = append(blob, sealed[tag:]...)
	blob = append(blob, sealed[:tag]...)
	return base64.StdEncoding.EncodeToString(blob)
}

// Open returns the plaintext of a blob, or an error that is [ErrAtRest] when
// the blob is damaged, was sealed under another key, or is not a blob at all.
func (a *AtRest) Open(blob string) ([]byte, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(blob)
	if err != nil {
		return nil, fmt.Errorf("%w: not base64", ErrAtRest)
	}
	if len(raw) < atRestIV+atRestTag {
		return nil, fmt.Errorf("%w: too short", ErrAtRest)
	}
	tagAt, textAt := atRestIV, atRestIV+atRestTag
	sealed := make([]byte, 0, len(raw)-atRestIV)
	sealed = append(sealed, raw[textAt:]...)
	sealed = append(sealed, raw[tagAt:textAt]...)
	plaintext, err := a.aead.Open(sealed[:0], raw[:atRestIV], sealed, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: wrong key or damaged", ErrAtRest)
	}
	return plaintext, nil
}

package token

import (
	"crypto/hkdf"
	"crypto/sha256"
)

// KeySize is the length in bytes of the operator's encryption key.
const KeySize = 32

// bearerLabel is the purpose under which the key of bearer tokens is derived.
// Another label is another key, so changing it ends every token.
const bearerLabel = "claudemesh broker: bearer tokens v1"

// Keys are made from the operator's encryption key, one for each purpose, by
// HKDF-SHA256 (RFC 5869) without a salt and with a label. The encryption key
// itself is used for nothing but encryption. Another encryption key ends every
// bearer token.
type Keys struct {
	bearer []byte // never changed
	ticket []byte
}

// NewKeys derives the keys.
func NewKeys(encryptionKey [KeySize]byte) *Keys {
	return &Keys{bearer: derive(encryptionKey, bearerLabel), ticket: derive(encryptionKey, ticketLabel)}
}

func derive(key [KeySize]byte, label string) []byte {
	derived, err := hkdf.Key(sha256.New, key[:], nil, label, sha256.Size)
	if err != nil {
		panic(err) // only a length above 255 hashes, or a short key where FIPS 140 is enforced
	}
	return derived
}

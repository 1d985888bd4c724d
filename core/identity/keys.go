package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/claudemesh/broker/sdk"
)

// ErrSecret is returned by [ParseSecret] for text that is not a secret key. Its
// text never repeats any part of the input.
var ErrSecret = errors.New("a secret key is 64 or 128 hex digits")

// NewKeypair makes a key pair from the system's randomness.
func NewKeypair() (sdk.Key, ed25519.PrivateKey) {
	var seed [ed25519.SeedSize]byte
	rand.Read(seed[:]) // never fails: it ends the process instead
	secret := ed25519.NewKeyFromSeed(seed[:])
	return PublicKey(secret), secret
}

// PublicKey returns the public half of secret, which must be 64 bytes long.
func PublicKey(secret ed25519.PrivateKey) sdk.Key {
	return sdk.Key(secret[ed25519.SeedSize:])
}

// ParseSecret reads a secret key from hex in either case: the 32-byte seed, or
// the seed followed by the public key as peers store it. It refuses the long
// form when its halves do not belong together, because signing with such a pair
// gives the secret away. All errors are [ErrSecret].
func ParseSecret(s string) (ed25519.PrivateKey, error) {
	if len(s) != 2*ed25519.SeedSize && len(s) != 2*ed25519.PrivateKeySize {
		return nil, ErrSecret
	}
	raw, err := hex.DecodeString(s)
	if err != nil {
		return nil, ErrSecret
	}
	secret := ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize])
	if len(raw) == ed25519.PrivateKeySize && subtle.ConstantTimeCompare(raw, secret) != 1 {
		return nil, fmt.Errorf("%w whose public half fits", ErrSecret)
	}
	return secret, nil
}

// SeedHex returns the 64 hex digits from which [ParseSecret] makes secret again.
func SeedHex(secret ed25519.PrivateKey) string { return hex.EncodeToString(secret.Seed()) }

// SecretHex returns the 128 hex digits, seed and public key, that peers store.
func SecretHex(secret ed25519.PrivateKey) string { return hex.EncodeToString(secret) }

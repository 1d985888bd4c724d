package identity

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"

	"filippo.io/edwards25519"
	"github.com/claudemesh/broker/sdk"
	"golang.org/x/crypto/nacl/box"
)

// Errors of the boxes. Neither repeats a key or a plaintext.
var (
	ErrSealKey = errors.New("not a usable x25519 public key")
	ErrSeal    = errors.New("box cannot be opened")
)

// SealKey is an x25519 public key, to which a mesh's root key is sealed. It is
// no [sdk.Key]: it can open boxes and cannot sign.
type SealKey [32]byte

// ParseSealKey reads base64url without padding. It refuses keys of small order,
// to which every box would be open to everybody. Any refusal is [ErrSealKey].
func ParseSealKey(s string) (SealKey, error) {
	var key SealKey
	if len(s) != base64.RawURLEncoding.EncodedLen(len(key)) {
		return SealKey{}, ErrSealKey
	}
	// The decoder skips line ends, so a text of the right length may be short.
	n, err := base64.RawURLEncoding.Strict().Decode(key[:], []byte(s))
	if err != nil || n != len(key) || !key.usable() {
		return SealKey{}, ErrSealKey
	}
	return key, nil
}

// String returns the key as base64url without padding, its form on the wire.
func (k SealKey) String() string { return base64.RawURLEncoding.EncodeToString(k[:]) }

// usable reports whether a shared secret made with k is a secret. Every x25519
// scalar is a multiple of the cofactor, so one trial with any scalar shows all
// keys of small order; it costs as much as one more box.
func (k SealKey) usable() bool {
	public, err := ecdh.X25519().NewPublicKey(k[:])
	if err != nil {
		return false
	}
	var scalar SealKey
	scalar[0] = 1
	trial, err := ecdh.X25519().NewPrivateKey(scalar[:])
	if err != nil {
		return false
	}
	_, err = trial.ECDH(public)
	return err == nil
}

// SealAnonymous seals plaintext to a key, from nobody: the box is 48 bytes
// longer and does not say who made it. It is libsodium's sealed box. A key of
// small order gives [ErrSealKey].
func SealAnonymous(to SealKey, plaintext []byte) ([]byte, error) {
	if !to.usable() {
		return nil, ErrSealKey
	}
	sealed, err := box.SealAnonymous(nil, plaintext, (*[32]byte)(&to), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return sealed, nil
}

// OpenAnonymous opens a sealed box with the recipient's x25519 secret. A box
// that was changed or is for somebody else gives [ErrSeal].
func OpenAnonymous(secret [32]byte, sealed []byte) ([]byte, error) {
	mine, err := ecdh.X25519().NewPrivateKey(secret[:])
	if err != nil {
		return nil, ErrSeal
	}
	public := [32]byte(mine.PublicKey().Bytes())
	plaintext, ok := box.OpenAnonymous(nil, sealed, &public, &secret)
	if !ok {
		return nil, ErrSeal
	}
	return plaintext, nil
}

// SealTo seals a direct message between two peers: crypto_box between their
// ed25519 keys mapped to curve25519. Nonce and ciphertext are base64 (standard,
// padded), as they travel in a send. The broker itself never calls this. A
// recipient key that is no point, or of small order, gives [ErrSealKey].
func SealTo(from ed25519.PrivateKey, to sdk.Key, plaintext []byte) (nonce, ciphertext string, err error) {
	public, err := montgomery(to)
	if err != nil {
		return "", "", err
	}
	secret := scalar(from)
	var n [24]byte
	rand.Read(n[:]) // never fails: it ends the process instead
	sealed := box.Seal(nil, plaintext, &n, &public, &secret)
	return base64.StdEncoding.EncodeToString(n[:]), base64.StdEncoding.EncodeToString(sealed), nil
}

// OpenFrom opens what [SealTo] made, with the recipient's secret and the
// sender's key. Anything else gives an error that is [ErrSeal] or [ErrSealKey].
func OpenFrom(to ed25519.PrivateKey, from sdk.Key, nonce, ciphertext string) ([]byte, error) {
	public, err := montgomery(from)
	if err != nil {
		return nil, err
	}
	n, err := base64.StdEncoding.DecodeString(nonce)
	if err != nil || len(n) != 24 {
		return nil, fmt.Errorf("%w: nonce", ErrSeal)
	}
	sealed, err := base64.StdEncoding.DecodeString(ciphertext)
	if err != nil {
		return nil, fmt.Errorf("%w: not base64", ErrSeal)
	}
	secret := scalar(to)
	plaintext, ok := box.Open(nil, sealed, (*[24]byte)(n), &public, &secret)
	if !ok {
		return nil, ErrSeal
	}
	return plaintext, nil
}

// montgomery maps an ed25519 public key to its x25519 twin.
func montgomery(key sdk.Key) ([32]byte, error) {
	if !canonicalPoint(key) || SmallOrder(key) {
		return [32]byte{}, ErrSealKey
	}
	point, err := new(edwards25519.Point).SetBytes(key[:])
	if err != nil {
		return [32]byte{}, ErrSealKey
	}
	return [32]byte(point.BytesMontgomery()), nil
}

// scalar maps an ed25519 secret to its x25519 twin: the first half of the
// seed's hash, which x25519 clamps just as ed25519 does.
func scalar(secret ed25519.PrivateKey) [32]byte {
	digest := sha512.Sum512(secret.Seed())
	return [32]byte(digest[:32])
}

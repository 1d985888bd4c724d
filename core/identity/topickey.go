package identity

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"

	"github.com/claudemesh/broker/sdk"
	"golang.org/x/crypto/nacl/box"
)

// TopicKey is the key of a topic, sealed for one member, and what others need to
// seal their copies alike.
type TopicKey struct {
	Pubkey    string // x25519 key in hex that the copy was sealed with
	Encrypted string // base64 (standard, padded) of that key and a crypto_box of the topic's key
	Nonce     string // base64 of the box's nonce
}

// NewTopicKey makes a key of 32 random bytes for a topic, and seals it to a
// member. The key itself, and the secret that it was sealed with, are forgotten
// before it returns. A member key that is no point, or of small order, gives
// [ErrSealKey].
func NewTopicKey(to sdk.Key) (TopicKey, error) {
	recipient, err := montgomery(to)
	if err != nil {
		return TopicKey{}, err
	}
	public, secret, err := box.GenerateKey(rand.Reader)
	if err != nil {
		return TopicKey{}, err
	}
	defer clear(secret[:])
	var key [32]byte
	var nonce [24]byte
	rand.Read(key[:]) // never fails: it ends the process instead
	defer clear(key[:])
	rand.Read(nonce[:])
	return TopicKey{
		Pubkey:    hex.EncodeToString(public[:]),
		Encrypted: base64.StdEncoding.EncodeToString(box.Seal(public[:len(public):len(public)], key[:], &nonce, &recipient, secret)),
		Nonce:     base64.StdEncoding.EncodeToString(nonce[:]),
	}, nil
}

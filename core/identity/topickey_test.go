package identity

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/claudemesh/broker/sdk"
	"golang.org/x/crypto/nacl/box"
)

// A member opens its copy with its own secret and the key that stands in front of
// the box, as clients do. Two topics have different keys.
func TestNewTopicKey(t *testing.T) {
	seed := [32]byte{1}
	member := ed25519.NewKeyFromSeed(seed[:])
	to := sdk.Key(member.Public().(ed25519.PublicKey))
	keys := map[string]bool{}
	for range 2 {
		k, err := NewTopicKey(to)
		if err != nil {
			t.Fatal(err)
		}
		blob, err := base64.StdEncoding.DecodeString(k.Encrypted)
		if err != nil || len(blob) != 32+box.Overhead+32 {
			t.Fatalf("%d bytes, %v", len(blob), err)
		}
		nonce, err := base64.StdEncoding.DecodeString(k.Nonce)
		if err != nil || len(nonce) != 24 {
			t.Fatalf("nonce %x, %v", nonce, err)
		}
		if got := hex.EncodeToString(blob[:32]); got != k.Pubkey {
			t.Errorf("the copy begins with %s, want %s", got, k.Pubkey)
		}
		from, secret := [32]byte(blob), scalar(member)
		key, ok := box.Open(nil, blob[32:], (*[24]byte)(nonce), &from, &secret)
		if !ok || len(key) != 32 {
			t.Fatalf("cannot be opened, %d bytes", len(key))
		}
		keys[string(key)] = true
	}
	if len(keys) != 2 {
		t.Error("two topics have one key")
	}
	if _, err := NewTopicKey(sdk.Key{}); !errors.Is(err, ErrSealKey) {
		t.Errorf("got %v", err)
	}
}

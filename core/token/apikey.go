package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// APIKeyPrefix begins every API key, and no other credential.
const APIKeyPrefix = "cm_"

const (
	apiKeyBytes = 32
	apiKeySize  = len(APIKeyPrefix) + (apiKeyBytes*8+5)/6

	// apiKeyShown is how much of a key people may see, by which they tell keys
	// apart: 48 of its 256 random bits.
	apiKeyShown = len(APIKeyPrefix) + 8
)

// NewAPIKey makes an API key. The secret is to be given out and kept nowhere;
// prefix is how it begins, and hash is what it is looked up by. It needs no key of
// the broker's: who it is for stands in the store.
func NewAPIKey() (secret, prefix string, hash [sha256.Size]byte) {
	var random [apiKeyBytes]byte
	rand.Read(random[:])
	secret = APIKeyPrefix + base64.RawURLEncoding.EncodeToString(random[:])
	return secret, secret[:apiKeyShown], sha256.Sum256([]byte(secret))
}

// IsAPIKey reports whether a credential says that it is an API key.
func IsAPIKey(text string) bool { return strings.HasPrefix(text, APIKeyPrefix) }

// HashOfAPIKey returns what a key is looked up by; false for what has not the form
// of one.
func HashOfAPIKey(text string) (hash [sha256.Size]byte, ok bool) {
	if len(text) != apiKeySize || !IsAPIKey(text) {
		return hash, false
	}
	return sha256.Sum256([]byte(text)), true
}

package token

import (
	"encoding/hex"
	"strings"
	"testing"
)

// The vector is the original's.
func TestAPIKeyVector(t *testing.T) {
	t.Parallel()
	hash, ok := HashOfAPIKey("cm_" + strings.Repeat("A", 43))
	if want := "aacb3267ef9e7497508b3dbe8444519c1cf1175656b3bdb82aa59115ac94074b"; !ok || hex.EncodeToString(hash[:]) != want {
		t.Errorf("got %x, %v, want %s", hash, ok, want)
	}
}

func TestNewAPIKey(t *testing.T) {
	t.Parallel()
	secret, prefix, hash := NewAPIKey()
	again, _, _ := NewAPIKey()
	if got, ok := HashOfAPIKey(secret); !ok || got != hash || again == secret {
		t.Errorf("%s is not looked up by its hash, or comes twice", prefix)
	}
	if len(secret) != 46 || len(prefix) != 11 || !strings.HasPrefix(secret, prefix) || !IsAPIKey(secret) {
		t.Errorf("got %q of %d bytes", prefix, len(secret))
	}
	for _, text := range []string{"", "cm_", secret[:45], secret + "A", "CM_" + secret[3:], " " + secret[1:]} {
		if _, ok := HashOfAPIKey(text); ok {
			t.Errorf("%q is taken for a key", text)
		}
	}
}

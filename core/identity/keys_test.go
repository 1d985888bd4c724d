package identity

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestKeyVectors(t *testing.T) {
	for _, k := range loadVectors(t).Keys {
		t.Run(k.Label, func(t *testing.T) {
			for _, form := range []string{k.SeedHex, k.Secret64Hex, strings.ToUpper(k.Secret64Hex)} {
				secret := mustSecret(t, form)
				if got := PublicKey(secret).String(); got != k.PublicHex {
					t.Errorf("got public key %s, want %s", got, k.PublicHex)
				}
				if got := SeedHex(secret); got != k.SeedHex {
					t.Errorf("got seed %s, want %s", got, k.SeedHex)
				}
				if got := SecretHex(secret); got != k.Secret64Hex {
					t.Errorf("got secret %s, want %s", got, k.Secret64Hex)
				}
			}
		})
	}
}

func TestParseSecretRefuses(t *testing.T) {
	_, a := NewKeypair()
	b, _ := NewKeypair()
	tests := []struct{ name, in string }{
		{"nothing", ""},
		{"an odd length", SeedHex(a)[1:]},
		{"a length between the two forms", SecretHex(a)[:96]},
		{"a letter that is no digit", "g" + SeedHex(a)[1:]},
		{"a public half of another key", SeedHex(a) + b.String()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseSecret(tt.in)
			if !errors.Is(err, ErrSecret) {
				t.Fatalf("got error %v, want %v", err, ErrSecret)
			}
			if tt.in != "" && strings.Contains(err.Error(), tt.in) {
				t.Error("got the secret in the error, want it left out")
			}
		})
	}
}

func TestNewKeypairDiffers(t *testing.T) {
	a, secretA := NewKeypair()
	b, secretB := NewKeypair()
	if a == b || bytes.Equal(secretA, secretB) {
		t.Error("got the same key twice, want two")
	}
}

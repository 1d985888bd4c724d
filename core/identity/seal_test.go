package identity

import (
	"bytes"
	"encoding/base64"
	"errors"
	"testing"

	"github.com/claudemesh/broker/sdk"
)

func TestInviteSealVector(t *testing.T) {
	v := loadVectors(t).InviteV2Seal
	rootKey := mustHex(t, v.RootKeyHex)
	if got := base64.RawURLEncoding.EncodeToString(rootKey); got != v.RootKeyBase64URL {
		t.Errorf("got root key %s, want %s", got, v.RootKeyBase64URL)
	}
	secret := [32]byte(mustHex(t, v.SecretHex))
	sealed, err := base64.RawURLEncoding.DecodeString(v.SealedBase64URL)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := OpenAnonymous(secret, sealed)
	if err != nil || !bytes.Equal(opened, rootKey) {
		t.Errorf("got %x, %v, want %x", opened, err, rootKey)
	}

	to, err := ParseSealKey(v.PublicBase64URL)
	if err != nil {
		t.Fatal(err)
	}
	if to.String() != v.PublicBase64URL {
		t.Errorf("got %s, want %s", to, v.PublicBase64URL)
	}
	fresh, err := SealAnonymous(to, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	if len(fresh) != v.SealedBytes || bytes.Equal(fresh, sealed) {
		t.Errorf("got %d bytes, want %d others than the vector's", len(fresh), v.SealedBytes)
	}
	if opened, err := OpenAnonymous(secret, fresh); err != nil || !bytes.Equal(opened, rootKey) {
		t.Errorf("got %x, %v, want %x", opened, err, rootKey)
	}
}

func TestOpenAnonymousRefuses(t *testing.T) {
	v := loadVectors(t).InviteV2Seal
	secret := [32]byte(mustHex(t, v.SecretHex))
	sealed, err := base64.RawURLEncoding.DecodeString(v.SealedBase64URL)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(sealed)
	changed[60] ^= 1
	tests := []struct {
		name   string
		secret [32]byte
		sealed []byte
	}{
		{"a changed box", secret, changed},
		{"a box for somebody else", [32]byte{9}, sealed},
		{"a box too short to be one", secret, sealed[:47]},
		{"nothing", secret, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := OpenAnonymous(tt.secret, tt.sealed); !errors.Is(err, ErrSeal) {
				t.Errorf("got %x, %v, want %v", got, err, ErrSeal)
			}
		})
	}
}

func TestParseSealKeyRefuses(t *testing.T) {
	b64 := base64.RawURLEncoding.EncodeToString
	good := loadVectors(t).InviteV2Seal.PublicBase64URL
	tests := []struct{ name, in string }{
		{"nothing", ""},
		{"31 bytes", b64(make([]byte, 31))},
		{"33 bytes", b64(make([]byte, 33))},
		{"padding", good + "="},
		{"the standard alphabet", "+" + good[1:]},
		{"stray low bits", good[:42] + "B"},
		{"a line end inside", good[:42] + "\n"},
		{"a member's hex key", loadVectors(t).Keys[0].PublicHex},
		{"zero", b64(make([]byte, 32))},
		{"one", b64([]byte(orderOne))},
		{"a point of order eight", b64(mustHex(t, "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"))},
		{"p, which is zero again", b64([]byte(orderFourPlusP))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := ParseSealKey(tt.in); !errors.Is(err, ErrSealKey) {
				t.Errorf("got %s, %v, want %v", got, err, ErrSealKey)
			}
		})
	}
	if _, err := SealAnonymous(SealKey{}, []byte("x")); !errors.Is(err, ErrSealKey) {
		t.Errorf("seal to zero: got error %v, want %v", err, ErrSealKey)
	}
}

func TestDirectBoxVector(t *testing.T) {
	all := loadVectors(t)
	v := all.ClientDirectBox
	sender, recipient := all.secret(t, v.Sender), all.secret(t, v.Recipient)

	for _, side := range []struct {
		name string
		key  sdk.Key
		want string
	}{
		{"sender", PublicKey(sender), v.SenderHex},
		{"recipient", PublicKey(recipient), v.RecipientHex},
	} {
		if got, err := montgomery(side.key); err != nil || sdk.Key(got).String() != side.want {
			t.Errorf("%s: got %x, %v, want %s", side.name, got, err, side.want)
		}
	}

	got, err := OpenFrom(recipient, PublicKey(sender), v.NonceBase64, v.CiphertextBase64)
	if err != nil || string(got) != v.Plaintext {
		t.Errorf("got %q, %v, want %q", got, err, v.Plaintext)
	}
	nonce, ciphertext, err := SealTo(sender, PublicKey(recipient), []byte(v.Plaintext))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenFrom(recipient, PublicKey(sender), nonce, ciphertext); err != nil || string(got) != v.Plaintext {
		t.Errorf("got %q, %v, want %q", got, err, v.Plaintext)
	}
}

func TestDirectBoxRefuses(t *testing.T) {
	from, fromSecret := NewKeypair()
	to, toSecret := NewKeypair()
	stranger, strangerSecret := NewKeypair()
	nonce, ciphertext, err := SealTo(fromSecret, to, []byte("hi"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		open func() ([]byte, error)
		want error
	}{
		{"another recipient", func() ([]byte, error) { return OpenFrom(strangerSecret, from, nonce, ciphertext) }, ErrSeal},
		{"another sender", func() ([]byte, error) { return OpenFrom(toSecret, stranger, nonce, ciphertext) }, ErrSeal},
		{"a nonce of the wrong size", func() ([]byte, error) { return OpenFrom(toSecret, from, "AAAA", ciphertext) }, ErrSeal},
		{"text that is not base64", func() ([]byte, error) { return OpenFrom(toSecret, from, nonce, "?") }, ErrSeal},
		{"a sender of small order", func() ([]byte, error) {
			return OpenFrom(toSecret, sdk.Key([]byte(orderEightA)), nonce, ciphertext)
		}, ErrSealKey},
		{"a sender that is no point", func() ([]byte, error) {
			return OpenFrom(toSecret, sdk.Key{2}, nonce, ciphertext)
		}, ErrSealKey},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := tt.open(); !errors.Is(err, tt.want) {
				t.Errorf("got %q, %v, want %v", got, err, tt.want)
			}
		})
	}
}

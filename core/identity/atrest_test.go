package identity

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"testing"
)

// The vectors are of the original's form, which is bound to nothing.
func TestAtRestVectors(t *testing.T) {
	for i, v := range loadVectors(t).AtRest {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			a, err := ParseAtRest(v.KeyHex)
			if err != nil {
				t.Fatal(err)
			}
			plaintext, err := a.OpenUnbound(v.PackedBase64)
			if !v.ExpectOK {
				if !errors.Is(err, ErrAtRest) {
					t.Errorf("got error %v, want %v", err, ErrAtRest)
				}
				return
			}
			if err != nil || string(plaintext) != v.Plaintext {
				t.Errorf("got %q, %v, want %q", plaintext, err, v.Plaintext)
			}
			iv := [atRestIV]byte(mustHex(t, v.IVHex))
			if got := a.sealWith(iv, []byte(v.Plaintext), nil); got != v.PackedBase64 {
				t.Errorf("got blob %s, want %s", got, v.PackedBase64)
			}
		})
	}
}

// TestAtRestBoundVectors holds the bytes of bound blobs. They were made with
// another implementation (Python's cryptography, which uses OpenSSL): key bytes
// 0 to 31, IV bytes 0 to 11.
func TestAtRestBoundVectors(t *testing.T) {
	a, err := ParseAtRest("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
	if err != nil {
		t.Fatal(err)
	}
	var iv [atRestIV]byte
	for i := range iv {
		iv[i] = byte(i)
	}
	for _, v := range []struct {
		of              Purpose
		id, plain, blob string
	}{
		{OwnerSecretAtRest, "mesh01", "0123456789abcdef0123456789abcdef", "2.AAECAwQFBgcICQoLm1oB1lCJ7Eg616RCo35vHncz5Cjx0PQstXj26dKNHQuz57UHxE5pSwBehOd+DWXU"},
		{RootKeyAtRest, "mesh01", "0123456789abcdef0123456789abcdef", "2.AAECAwQFBgcICQoLRnw6dEy37jAbGtMMY9O913cz5Cjx0PQstXj26dKNHQuz57UHxE5pSwBehOd+DWXU"},
		{RootKeyAtRest, "mesh-ünï", "0123456789abcdef0123456789abcdef", "2.AAECAwQFBgcICQoLOYjU9pHB4gBts/hV1wq1CHcz5Cjx0PQstXj26dKNHQuz57UHxE5pSwBehOd+DWXU"},
		{InviteAtRest, "inv|01", "eyJ2IjoxfQ", "2.AAECAwQFBgcICQoLzsyOEIeuWtyTFw901JXb0CJ7nCmMj61j6xA="},
		{InviteAtRest, "inv01", "", "2.AAECAwQFBgcICQoL/XSFBMaS4BI45283Y1E3oQ=="},
	} {
		if got := atRestPrefix + a.sealWith(iv, []byte(v.plain), AtRestText(v.of, v.id)); got != v.blob {
			t.Errorf("%s of %s: got %s, want %s", v.of, v.id, got, v.blob)
		}
		if got, err := a.OpenFor(v.of, v.id, v.blob); err != nil || string(got) != v.plain {
			t.Errorf("%s of %s: got %q, %v, want %q", v.of, v.id, got, err, v.plain)
		}
	}
}

func TestAtRestRoundTrip(t *testing.T) {
	a := NewAtRest([AtRestKeySize]byte{1})
	for _, plaintext := range []string{"", "x", strings.Repeat("long ", 1000)} {
		one, two := a.SealFor(RootKeyAtRest, "m", []byte(plaintext)), a.SealFor(RootKeyAtRest, "m", []byte(plaintext))
		if one == two {
			t.Error("got one blob twice, want a fresh IV each time")
		}
		if got, err := a.OpenFor(RootKeyAtRest, "m", one); err != nil || string(got) != plaintext || !IsBound(one) {
			t.Errorf("got %q, %v, want %q", got, err, plaintext)
		}
	}
}

// TestAtRestIsBound holds that a blob opens in its place alone.
func TestAtRestIsBound(t *testing.T) {
	a := NewAtRest([AtRestKeySize]byte{1})
	blob := a.SealFor(RootKeyAtRest, "m1", []byte("secret"))
	for _, unbound := range []bool{false, true} {
		a.AcceptUnbound(unbound)
		for name, tt := range map[string]struct {
			of       Purpose
			id, blob string
		}{
			"another purpose":                        {OwnerSecretAtRest, "m1", blob},
			"another row":                            {RootKeyAtRest, "m2", blob},
			"no row":                                 {RootKeyAtRest, "", blob},
			"a row whose id begins alike":            {RootKeyAtRest, "m1|", blob},
			"the separator elsewhere":                {"root-key|m1", "", blob},
			"its place, without its mark":            {RootKeyAtRest, "m1", strings.TrimPrefix(blob, atRestPrefix)},
			"its place, with the mark of an unbound": {RootKeyAtRest, "m1", atRestPrefix + a.sealWith([atRestIV]byte{}, []byte("secret"), nil)},
		} {
			if got, err := a.OpenFor(tt.of, tt.id, tt.blob); !errors.Is(err, ErrAtRest) {
				t.Errorf("%s: got %q, %v, want %v", name, got, err, ErrAtRest)
			}
		}
		if got, err := a.OpenUnbound(blob); !errors.Is(err, ErrAtRest) {
			t.Errorf("as an unbound one: got %q, %v", got, err)
		}
	}
}

// TestAtRestUnbound holds who opens a blob of before.
func TestAtRestUnbound(t *testing.T) {
	a := NewAtRest([AtRestKeySize]byte{1})
	blob := a.sealWith([atRestIV]byte{}, []byte("secret"), nil)
	if IsBound(blob) {
		t.Error("it says that it is bound")
	}
	if got, err := a.OpenUnbound(blob); err != nil || string(got) != "secret" {
		t.Errorf("got %q, %v", got, err)
	}
	for _, accept := range []bool{false, true, false} {
		a.AcceptUnbound(accept)
		got, err := a.OpenFor(RootKeyAtRest, "m1", blob)
		if accept && (err != nil || string(got) != "secret") || !accept && (!errors.Is(err, ErrUnbound) || !errors.Is(err, ErrAtRest)) {
			t.Errorf("accepted %v: got %q, %v", accept, got, err)
		}
	}
}

func TestAtRestRefuses(t *testing.T) {
	a := NewAtRest([AtRestKeySize]byte{1})
	blob := a.SealFor(InviteAtRest, "i", []byte("secret"))
	changed, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(blob, atRestPrefix))
	if err != nil {
		t.Fatal(err)
	}
	changed[len(changed)-1] ^= 1
	tests := []struct{ name, blob string }{
		{"nothing", ""},
		{"the mark alone", atRestPrefix},
		{"what is not base64", atRestPrefix + "?" + blob},
		{"two marks", atRestPrefix + blob},
		{"a blob without a whole tag", blob[:18]},
		{"a cut blob", blob[:len(blob)-4]},
		{"a changed blob", atRestPrefix + base64.StdEncoding.EncodeToString(changed)},
		{"a blob of another key", NewAtRest([AtRestKeySize]byte{2}).SealFor(InviteAtRest, "i", []byte("secret"))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := a.OpenFor(InviteAtRest, "i", tt.blob); !errors.Is(err, ErrAtRest) {
				t.Errorf("got %q, %v, want %v", got, err, ErrAtRest)
			}
		})
	}
	for _, key := range []string{"", "00", strings.Repeat("0", 63), strings.Repeat("z", 64), strings.Repeat("0", 128)} {
		if _, err := ParseAtRest(key); !errors.Is(err, ErrAtRestKey) {
			t.Errorf("key %q: got error %v, want %v", key, err, ErrAtRestKey)
		}
	}
}

func BenchmarkAtRest(b *testing.B) {
	a := NewAtRest([AtRestKeySize]byte{1})
	plaintext := []byte(strings.Repeat("x", 64))
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			a.SealFor(RootKeyAtRest, "m", plaintext)
		}
	})
	blob := a.SealFor(RootKeyAtRest, "m", plaintext)
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := a.OpenFor(RootKeyAtRest, "m", blob); err != nil {
				b.Fatal(err)
			}
		}
	})
}

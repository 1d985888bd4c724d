package identity

import (
	"errors"
	"strconv"
	"strings"
	"testing"
)

func TestAtRestVectors(t *testing.T) {
	for i, v := range loadVectors(t).AtRest {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			a, err := ParseAtRest(v.KeyHex)
			if err != nil {
				t.Fatal(err)
			}
			plaintext, err := a.Open(v.PackedBase64)
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
			if got := a.sealWith(iv, []byte(v.Plaintext)); got != v.PackedBase64 {
				t.Errorf("got blob %s, want %s", got, v.PackedBase64)
			}
		})
	}
}

func TestAtRestRoundTrip(t *testing.T) {
	a := NewAtRest([AtRestKeySize]byte{1})
	for _, plaintext := range []string{"", "x", strings.Repeat("long ", 1000)} {
		one, two := a.Seal([]byte(plaintext)), a.Seal([]byte(plaintext))
		if one == two {
			t.Error("got one blob twice, want a fresh IV each time")
		}
		if got, err := a.Open(one); err != nil || string(got) != plaintext {
			t.Errorf("got %q, %v, want %q", got, err, plaintext)
		}
	}
}

func TestAtRestRefuses(t *testing.T) {
	a := NewAtRest([AtRestKeySize]byte{1})
	blob := a.Seal([]byte("secret"))
	tests := []struct{ name, blob string }{
		{"nothing", ""},
		{"what is not base64", "?" + blob},
		{"a blob without a whole tag", blob[:16]},
		{"a cut blob", blob[:len(blob)-4]},
		{"a blob of another key", NewAtRest([AtRestKeySize]byte{2}).Seal([]byte("secret"))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := a.Open(tt.blob); !errors.Is(err, ErrAtRest) {
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
			a.Seal(plaintext)
		}
	})
	blob := a.Seal(plaintext)
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := a.Open(blob); err != nil {
				b.Fatal(err)
			}
		}
	})
}

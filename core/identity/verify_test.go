package identity

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"

	"filippo.io/edwards25519"
	"github.com/claudemesh/broker/sdk"
)

func TestVerify(t *testing.T) {
	pub, secret := NewKeypair()
	other, _ := NewKeypair()
	msg := []byte("a text")
	good := ed25519.Sign(secret, msg)

	// S plus the group's order: the same equation, another encoding.
	order := mustHex(t, "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	unreduced := bytes.Clone(good)
	carry := 0
	for i, b := range order {
		carry += int(unreduced[32+i]) + int(b)
		unreduced[32+i] = byte(carry)
		carry >>= 8
	}
	flipped := bytes.Clone(good)
	flipped[0] ^= 1
	smallR := append(bytes.Clone([]byte(orderOne)), good[32:]...)

	tests := []struct {
		name     string
		pub      sdk.Key
		msg, sig []byte
		want     bool
	}{
		{"accepts the signature of the key over the text", pub, msg, good, true},
		{"refuses another text", pub, []byte("a Text"), good, false},
		{"refuses another key", other, msg, good, false},
		{"refuses a changed signature", pub, msg, flipped, false},
		{"refuses a scalar that is not reduced", pub, msg, unreduced, false},
		{"refuses a first half of small order", pub, msg, smallR, false},
		{"refuses a short signature", pub, msg, good[:63], false},
		{"refuses a long signature", pub, msg, append(bytes.Clone(good), 0), false},
		{"refuses no signature", pub, msg, nil, false},
		{"refuses the zero key", sdk.Key{}, msg, good, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Verify(tt.pub, tt.msg, tt.sig); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestSmallOrderFromTheCurve finds the points of small order by mathematics:
// a point is one of them when eight times the point is the identity.
func TestSmallOrderFromTheCurve(t *testing.T) {
	listed := []string{orderOne, orderTwo, orderFour, orderEightA, orderEightB, orderFourPlusP, orderOnePlusP}
	points := map[string]bool{}
	for _, y := range listed {
		for _, sign := range []byte{0, signBit} {
			key := sdk.Key([]byte(y))
			key[31] |= sign
			if !SmallOrder(key) {
				t.Errorf("%s: got not of small order, want it refused", key)
			}
			point, err := new(edwards25519.Point).SetBytes(key[:])
			if err != nil {
				t.Fatalf("%s is no point: %v", key, err)
			}
			if new(edwards25519.Point).MultByCofactor(point).Equal(edwards25519.NewIdentityPoint()) != 1 {
				t.Errorf("%s is listed but its order is large", key)
			}
			points[string(point.Bytes())] = true
		}
	}
	if len(points) != 8 {
		t.Errorf("got %d points of small order, want all 8", len(points))
	}
	// All encodings of y from p up to 2^255-1; those that are points and of
	// small order must be listed, and none of them is a canonical key.
	for low := primeFirst; low <= 0xff; low++ {
		key := sdk.Key(bytes.Repeat([]byte{0xff}, 32))
		key[0], key[31] = byte(low), primeLast
		if canonicalPoint(key) {
			t.Errorf("%s: got canonical, want refused", key)
		}
		point, err := new(edwards25519.Point).SetBytes(key[:])
		if err != nil {
			continue
		}
		small := new(edwards25519.Point).MultByCofactor(point).Equal(edwards25519.NewIdentityPoint()) == 1
		if got := SmallOrder(key); got != small {
			t.Errorf("%s: got small order %v, want %v", key, got, small)
		}
	}
}

func TestVerifyRefusesForgeryUnderSmallOrderKey(t *testing.T) {
	forged := append([]byte(orderOne), make([]byte, 32)...)
	if !ed25519.Verify(ed25519.PublicKey(orderOne), []byte("anything"), forged) {
		t.Log("the standard library now refuses this key itself")
	}
	if Verify(sdk.Key([]byte(orderOne)), []byte("anything"), forged) {
		t.Error("got an accepted forgery, want it refused")
	}
}

func TestOrdinaryKeysAreNeitherSmallNorOdd(t *testing.T) {
	for range 200 {
		key, _ := NewKeypair()
		if SmallOrder(key) || !canonicalPoint(key) {
			t.Errorf("%s: got refused, want taken", key)
		}
	}
}

func TestParseSignature(t *testing.T) {
	hex128 := strings.Repeat("aB", 64)
	tests := []struct {
		name, in string
		ok       bool
	}{
		{"takes 128 digits of mixed case", hex128, true},
		{"refuses 126 digits", hex128[2:], false},
		{"refuses 130 digits", hex128 + "00", false},
		{"refuses a letter that is no digit", "g" + hex128[1:], false},
		{"refuses nothing", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseSignature(tt.in)
			if (err == nil) != tt.ok {
				t.Fatalf("got error %v, want ok %v", err, tt.ok)
			}
			if tt.ok && !bytes.Equal(got[:], mustHex(t, tt.in)) {
				t.Errorf("got %x, want %s", got, tt.in)
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	pub, secret := NewKeypair()
	msg := HelloText(NewID(), NewID(), pub.String(), "1776254400000")
	sig := ed25519.Sign(secret, msg)
	b.ReportAllocs()
	for b.Loop() {
		if !Verify(pub, msg, sig) {
			b.Fatal("refused")
		}
	}
}

// BenchmarkStandardVerify is the part of Verify that the extra tests add to.
func BenchmarkStandardVerify(b *testing.B) {
	pub, secret := NewKeypair()
	msg := HelloText(NewID(), NewID(), pub.String(), "1776254400000")
	sig := ed25519.Sign(secret, msg)
	b.ReportAllocs()
	for b.Loop() {
		if !ed25519.Verify(pub[:], msg, sig) {
			b.Fatal("refused")
		}
	}
}

func BenchmarkSmallOrder(b *testing.B) {
	pub, _ := NewKeypair()
	b.ReportAllocs()
	for b.Loop() {
		if SmallOrder(pub) {
			b.Fatal("refused")
		}
	}
}

package identity

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// recipientKey is the x25519 public key of the secret 32×03.
const recipientKey = "Xf7dO2vUf2-ijuFdlp1bsOpTd01Ii9r53xxuASSz7yI"

func mustSealKey(tb testing.TB, s string) SealKey {
	tb.Helper()
	key, err := ParseSealKey(s)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// For other implementations: the seed is 32×01.
func TestClaimVector(t *testing.T) {
	peer := mustSecret(t, strings.Repeat("01", 32))
	at := time.UnixMilli(1749956800000)
	got := SignClaim(peer, "ABCD2345", mustSealKey(t, recipientKey), at)
	want := ClaimProof{
		Code:           "ABCD2345",
		PeerPubkey:     "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c",
		RecipientKey:   recipientKey,
		TimestampToken: []byte("1749956800000"),
		Signature:      "76d86d9b5bbfa9862558dddc6016465c0f0e0988abb8db74e8b49cee86c935a2d31f16544e566d53a081e45bdb21de795d49867803dcb3d827e1abed9d98df01",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("proof (-want +got):\n%s", diff)
	}
	text := "claudemesh-claim-v2|ABCD2345|" + want.PeerPubkey + "|" + recipientKey + "|1749956800000"
	if got := string(ClaimText(got.Code, got.PeerPubkey, got.RecipientKey, string(got.TimestampToken))); got != text {
		t.Errorf("got text %q, want %q", got, text)
	}
	if got := CheckClaim(want, at); got != Accepted {
		t.Errorf("got %q, want accepted", got)
	}
}

func TestCheckClaim(t *testing.T) {
	_, peer := NewKeypair()
	stranger, _ := NewKeypair()
	other := SealKey{9}.String()
	now := time.UnixMilli(1776254400000)
	tests := []struct {
		name   string
		at     time.Time
		change func(*ClaimProof)
		want   Refusal
	}{
		{"accepts a fresh one", now, nil, Accepted},
		{"accepts the far edge of the past", now.Add(-MaxSkew), nil, Accepted},
		{"accepts the far edge of the future", now.Add(MaxSkew), nil, Accepted},
		{"refuses one past the edge", now.Add(MaxSkew + time.Millisecond), nil, TimestampSkew},
		{"refuses one before the edge", now.Add(-MaxSkew - time.Millisecond), nil, TimestampSkew},
		{"refuses a time that is a text", now, func(in *ClaimProof) { in.TimestampToken = []byte(`"1776254400000"`) }, TimestampSkew},
		{"refuses no time", now, func(in *ClaimProof) { in.TimestampToken = nil }, TimestampSkew},
		{"looks at the clock before the shapes", now.Add(-time.Hour), func(in *ClaimProof) { in.PeerPubkey = "x" }, TimestampSkew},
		{"refuses no code", now, func(in *ClaimProof) { in.Code = "" }, Malformed},
		{"refuses a code with a pipe", now, func(in *ClaimProof) { in.Code = "A|B" }, Malformed},
		{"refuses an endless code", now, func(in *ClaimProof) { in.Code = strings.Repeat("A", 65) }, Malformed},
		{"refuses a peer key that is none", now, func(in *ClaimProof) { in.PeerPubkey = "x" }, Malformed},
		{"refuses a recipient key that is none", now, func(in *ClaimProof) { in.RecipientKey = "x" }, Malformed},
		{"refuses a recipient key of small order", now, func(in *ClaimProof) { in.RecipientKey = SealKey{}.String() }, Malformed},
		{"refuses a signature that is none", now, func(in *ClaimProof) { in.Signature = "x" }, Malformed},
		{"refuses another code", now, func(in *ClaimProof) { in.Code = "ABCD2346" }, BadSignature},
		{"refuses another peer", now, func(in *ClaimProof) { in.PeerPubkey = stranger.String() }, BadSignature},
		{"refuses the same peer in capitals", now, func(in *ClaimProof) { in.PeerPubkey = strings.ToUpper(in.PeerPubkey) }, BadSignature},
		{"refuses another recipient", now, func(in *ClaimProof) { in.RecipientKey = other }, BadSignature},
		{"refuses another time", now, func(in *ClaimProof) { in.TimestampToken = []byte("1776254400001") }, BadSignature},
		{"refuses another signature", now, func(in *ClaimProof) { in.Signature = strings.Repeat("0", 128) }, BadSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := SignClaim(peer, "ABCD2345", mustSealKey(t, recipientKey), tt.at)
			if tt.change != nil {
				tt.change(&in)
			}
			if got := CheckClaim(in, now); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCheckClaimSmallOrder(t *testing.T) {
	now := time.UnixMilli(1776254400000)
	in := ClaimProof{
		Code: "ABCD2345", PeerPubkey: smallOrderKey, RecipientKey: recipientKey,
		TimestampToken: millisToken(now), Signature: smallOrderSignature,
	}
	if got := CheckClaim(in, now); got != BadSignature {
		t.Errorf("got %q, want %q", got, BadSignature)
	}
}

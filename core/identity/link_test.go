package identity

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// For other implementations: the seed is 32×01.
func TestLinkVector(t *testing.T) {
	member := mustSecret(t, strings.Repeat("01", 32))
	at := time.UnixMilli(1749956800000)
	got := SignLink(member, "mesh-1", "acct-1", at)
	want := LinkProof{
		MeshID:         "mesh-1",
		Pubkey:         "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c",
		AccountID:      "acct-1",
		TimestampToken: []byte("1749956800000"),
		Signature:      "10dcb698af14cef8f8fdf32fe3627743fb4188baad66c61cd159dc79ebe35754e2abe9e9c29994bdc917d05a0cbcd13612cba29149de293f55f26cfe387b5007",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("proof (-want +got):\n%s", diff)
	}
	text := "claudemesh-link-v1|mesh-1|" + want.Pubkey + "|acct-1|1749956800000"
	if got := string(LinkText(got.MeshID, got.Pubkey, got.AccountID, string(got.TimestampToken))); got != text {
		t.Errorf("got text %q, want %q", got, text)
	}
	if got := CheckLink(want, at); got != Accepted {
		t.Errorf("got %q, want accepted", got)
	}
}

func TestCheckLink(t *testing.T) {
	_, member := NewKeypair()
	stranger, _ := NewKeypair()
	now := time.UnixMilli(1776254400000)
	tests := []struct {
		name   string
		at     time.Time
		change func(*LinkProof)
		want   Refusal
	}{
		{"accepts a fresh one", now, nil, Accepted},
		{"accepts the far edge of the past", now.Add(-MaxSkew), nil, Accepted},
		{"refuses one past the edge", now.Add(MaxSkew + time.Millisecond), nil, TimestampSkew},
		{"refuses a time that is a text", now, func(in *LinkProof) { in.TimestampToken = []byte(`"1776254400000"`) }, TimestampSkew},
		{"refuses no time", now, func(in *LinkProof) { in.TimestampToken = nil }, TimestampSkew},
		{"looks at the clock before the shapes", now.Add(-time.Hour), func(in *LinkProof) { in.Pubkey = "x" }, TimestampSkew},
		{"refuses no mesh", now, func(in *LinkProof) { in.MeshID = "" }, Malformed},
		{"refuses no account", now, func(in *LinkProof) { in.AccountID = "" }, Malformed},
		{"refuses a mesh with a pipe", now, func(in *LinkProof) { in.MeshID = "m|n" }, Malformed},
		{"refuses an account with a pipe", now, func(in *LinkProof) { in.AccountID = "a|b" }, Malformed},
		{"refuses an account spelt like a key", now, func(in *LinkProof) { in.AccountID = in.Pubkey }, Malformed},
		{"refuses an endless account", now, func(in *LinkProof) { in.AccountID = strings.Repeat("a", 129) }, Malformed},
		{"refuses a key that is none", now, func(in *LinkProof) { in.Pubkey = "x" }, Malformed},
		{"refuses a signature that is none", now, func(in *LinkProof) { in.Signature = "x" }, Malformed},
		{"refuses another mesh", now, func(in *LinkProof) { in.MeshID = "n" }, BadSignature},
		{"refuses another account", now, func(in *LinkProof) { in.AccountID = "b" }, BadSignature},
		{"refuses another member", now, func(in *LinkProof) { in.Pubkey = stranger.String() }, BadSignature},
		{"refuses another time", now, func(in *LinkProof) { in.TimestampToken = []byte("1776254400001") }, BadSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := SignLink(member, "m", "a", tt.at)
			if tt.change != nil {
				tt.change(&in)
			}
			if got := CheckLink(in, now); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// A link's text is no other's, whatever ids somebody chooses: see
// TestDomainsAreApart.
func TestLinkIsApart(t *testing.T) {
	key, member := NewKeypair()
	now := time.UnixMilli(1776254400000)
	ts, pub := millisToken(now), key.String()
	link := SignLink(member, "m", "a", now)
	if CheckHello(HelloProof{linkLabel, "m|" + pub, "a", ts, link.Signature}, now).OK() ||
		CheckHello(HelloProof{linkLabel, "m", pub, ts, link.Signature}, now).OK() {
		t.Error("a link is good as a hello")
	}
	hello := SignHello(member, linkLabel, "m|"+pub, now)
	if CheckLink(LinkProof{"m", pub, pub, ts, hello.Signature}, now).OK() {
		t.Error("a hello to a mesh named like a link is good as a link")
	}
}

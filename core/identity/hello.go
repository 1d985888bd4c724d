package identity

import (
	"crypto/ed25519"
	"time"
)

// MaxSkew is how far the timestamp of a hello may lie from the broker's clock,
// before or after, both ends included. Inside it a signature can be replayed.
const MaxSkew = 60 * time.Second

// HelloProof is what the signature of a hello covers, each field exactly as it
// arrived: changing the case of Pubkey would change the signed text.
type HelloProof struct {
	MeshID         string
	MemberID       string
	Pubkey         string // of the member; 64 hex digits in either case
	TimestampToken []byte // the raw JSON token, not yet known to be a number
	Signature      string // 128 hex digits in either case
}

// CheckHello tests the clock, then the shapes, then the signature, and returns
// the first failure: [TimestampSkew], [Malformed] or [BadSignature].
//
// MemberID is only text that was signed; that it belongs to the key is for the
// caller to compare.
func CheckHello(in HelloProof, now time.Time) Refusal {
	at, ok := parseMillis(in.TimestampToken)
	if !ok || !at.near(now) {
		return TimestampSkew
	}
	var buf [textSize]byte
	text := appendTimed(buf[:0], at, in.MeshID, in.MemberID, in.Pubkey)
	return checkSigned(in.Pubkey, in.Signature, text)
}

// SignHello makes the proof that [CheckHello] accepts. A secret that is not 64
// bytes long panics, here and in the other Sign functions.
func SignHello(member ed25519.PrivateKey, meshID, memberID string, at time.Time) HelloProof {
	in := HelloProof{
		MeshID:         meshID,
		MemberID:       memberID,
		Pubkey:         PublicKey(member).String(),
		TimestampToken: millisToken(at),
	}
	in.Signature = signHex(member, HelloText(meshID, memberID, in.Pubkey, string(in.TimestampToken)))
	return in
}

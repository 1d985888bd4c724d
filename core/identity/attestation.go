package identity

import (
	"crypto/ed25519"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// MaxAttestation is how far ahead an attestation may end. Peers make theirs for
// twelve hours.
const MaxAttestation = 24 * time.Hour

// AttestationProof is a member's word that a session key is its own, each field
// as it arrived.
type AttestationProof struct {
	ParentPubkey  string // the member's key
	SessionPubkey string
	ExpiresToken  []byte // the raw JSON token of the end, in ms
	Signature     string // by the parent's secret
}

// CheckAttestation tests the end, then the shapes, then the signature, and
// returns the first failure: [Malformed] for an end that is not a number,
// [Expired], [TTLTooLong], [Malformed] for a key or signature, [BadSignature].
//
// An end equal to now has expired; an end of exactly now + [MaxAttestation] is
// good. That the two keys equal those of the frame around it is for the caller
// to compare, before this.
func CheckAttestation(in AttestationProof, now time.Time) Refusal {
	end, ok := parseMillis(in.ExpiresToken)
	nowMillis := millis(now.UnixMilli())
	switch {
	case !ok:
		return Malformed
	case end <= nowMillis:
		return Expired
	case end > nowMillis+millis(MaxAttestation.Milliseconds()):
		return TTLTooLong
	}
	if _, err := sdk.ParseKey(in.SessionPubkey); err != nil {
		return Malformed
	}
	var buf [textSize]byte
	text := appendTimed(buf[:0], end, attestLabel, in.ParentPubkey, in.SessionPubkey)
	return checkSigned(in.ParentPubkey, in.Signature, text)
}

// SignAttestation makes the proof that [CheckAttestation] accepts until expires.
func SignAttestation(parent ed25519.PrivateKey, session sdk.Key, expires time.Time) AttestationProof {
	in := AttestationProof{
		ParentPubkey:  PublicKey(parent).String(),
		SessionPubkey: session.String(),
		ExpiresToken:  millisToken(expires),
	}
	in.Signature = signHex(parent, AttestationText(in.ParentPubkey, in.SessionPubkey, string(in.ExpiresToken)))
	return in
}

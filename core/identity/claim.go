package identity

import (
	"crypto/ed25519"
	"strings"
	"time"
)

// maxClaimCode is the length of the longest code that can be claimed, in bytes.
const maxClaimCode = 64

// ClaimProof binds the ed25519 key of a joining peer to its claim of a version 2
// invite, each field as it arrived. Without it somebody who sees a code could
// enrol a key that is not theirs.
type ClaimProof struct {
	Code           string // of the invite, as in the URL
	PeerPubkey     string // the key that becomes a member; 64 hex digits in either case
	RecipientKey   string // x25519, to which the root key is sealed; base64url
	TimestampToken []byte // the raw JSON token
	Signature      string // by the peer's secret
}

// CheckClaim is [CheckHello] for a claim: the clock, then the shapes, then the
// signature under the peer's key. A recipient key that cannot be sealed to is
// [Malformed], so that no use of the invite is spent on it. Whether the code
// exists is for the caller to look up.
func CheckClaim(in ClaimProof, now time.Time) Refusal {
	at, ok := parseMillis(in.TimestampToken)
	if !ok || !at.near(now) {
		return TimestampSkew
	}
	if in.Code == "" || len(in.Code) > maxClaimCode || strings.Contains(in.Code, "|") {
		return Malformed
	}
	if _, err := ParseSealKey(in.RecipientKey); err != nil {
		return Malformed
	}
	var buf [textSize]byte
	text := appendTimed(buf[:0], at, claimLabel, in.Code, in.PeerPubkey, in.RecipientKey)
	return checkSigned(in.PeerPubkey, in.Signature, text)
}

// SignClaim makes the proof that [CheckClaim] accepts.
func SignClaim(peer ed25519.PrivateKey, code string, recipient SealKey, at time.Time) ClaimProof {
	in := ClaimProof{
		Code:           code,
		PeerPubkey:     PublicKey(peer).String(),
		RecipientKey:   recipient.String(),
		TimestampToken: millisToken(at),
	}
	in.Signature = signHex(peer, ClaimText(code, in.PeerPubkey, in.RecipientKey, string(in.TimestampToken)))
	return in
}

package identity

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"

	"github.com/claudemesh/broker/sdk"
)

// First fields of the canonical strings that have a name. The plain hello has
// none; its first field is a mesh id.
const (
	attestLabel       = "claudemesh-session-attest"
	sessionHelloLabel = "claudemesh-session-hello"
	sessionProofLabel = "claudemesh-session-proof"
	httpLabel         = "claudemesh-http-v1"
	claimLabel        = "claudemesh-claim-v2"
)

// textSize is room for the longest canonical string of a proof with ids of our
// own making, so that building one needs no second buffer.
const textSize = 288

// HelloText returns the bytes that a member signs to connect. All fields are
// taken as sent; timestamp is in milliseconds, printed as JavaScript does.
func HelloText(meshID, memberID, pubkey, timestamp string) []byte {
	return appendFields(nil, meshID, memberID, pubkey, timestamp)
}

// AttestationText returns the bytes by which a member vouches for a session
// key until expires, in milliseconds. They name no mesh: the attestation is
// good in every mesh where the parent key is a member.
func AttestationText(parentPubkey, sessionPubkey, expires string) []byte {
	return appendFields(nil, attestLabel, parentPubkey, sessionPubkey, expires)
}

// SessionHelloText returns the bytes that a session signs to connect.
func SessionHelloText(meshID, parentPubkey, sessionPubkey, timestamp string) []byte {
	return appendFields(nil, sessionHelloLabel, meshID, parentPubkey, sessionPubkey, timestamp)
}

// SessionProofText returns the bytes that a session key signs to show that a
// plain hello may name it. See [CheckSessionProof].
func SessionProofText(meshID, pubkey, sessionPubkey, timestamp string) []byte {
	return appendFields(nil, sessionProofLabel, meshID, pubkey, sessionPubkey, timestamp)
}

// HTTPText returns the bytes that a member signs to make one HTTP request. See
// [HTTPProof].
func HTTPText(method, target, meshID, key, timestamp string, bodyHash [sha256.Size]byte) []byte {
	return appendHTTP(nil, method, target, meshID, key, timestamp, bodyHash)
}

// ClaimText returns the bytes that a joining key signs to claim a version 2
// invite. See [CheckClaim].
func ClaimText(code, peerPubkey, recipientKey, timestamp string) []byte {
	return appendFields(nil, claimLabel, code, peerPubkey, recipientKey, timestamp)
}

// appendFields joins the fields with "|".
func appendFields(dst []byte, fields ...string) []byte {
	for i, f := range fields {
		if i > 0 {
			dst = append(dst, '|')
		}
		dst = append(dst, f...)
	}
	return dst
}

// appendTimed joins the fields and the time with "|".
func appendTimed(dst []byte, at millis, fields ...string) []byte {
	dst = appendFields(dst, fields...)
	return at.appendTo(append(dst, '|'))
}

// checkSigned tests the shapes first and the signature last.
func checkSigned(pubkey, signature string, text []byte) Refusal {
	key, err := sdk.ParseKey(pubkey)
	if err != nil {
		return Malformed
	}
	sig, err := ParseSignature(signature)
	if err != nil {
		return Malformed
	}
	if !Verify(key, text, sig[:]) {
		return BadSignature
	}
	return Accepted
}

// signHex signs text and returns 128 lower-case hex digits.
func signHex(secret ed25519.PrivateKey, text []byte) string {
	return hex.EncodeToString(ed25519.Sign(secret, text))
}

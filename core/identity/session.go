package identity

import (
	"crypto/ed25519"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// SessionHelloProof is what the signature of a session_hello covers, each field
// as it arrived.
type SessionHelloProof struct {
	MeshID         string
	ParentPubkey   string
	SessionPubkey  string
	TimestampToken []byte // the raw JSON token
	Signature      string // by the session's secret
}

// CheckSessionHello is [CheckHello] for a session: the clock, then the shapes,
// then the signature under the session key. It says nothing about the parent,
// who speaks through [CheckAttestation], which comes first.
func CheckSessionHello(in SessionHelloProof, now time.Time) Refusal {
	return checkSession(sessionHelloLabel, in.MeshID, in.ParentPubkey, in.SessionPubkey,
		in.TimestampToken, in.Signature, now)
}

// SignSessionHello makes the proof that [CheckSessionHello] accepts.
func SignSessionHello(session ed25519.PrivateKey, meshID string, parent sdk.Key, at time.Time) SessionHelloProof {
	in := SessionHelloProof{
		MeshID:         meshID,
		ParentPubkey:   parent.String(),
		SessionPubkey:  PublicKey(session).String(),
		TimestampToken: millisToken(at),
	}
	in.Signature = signHex(session, SessionHelloText(meshID, in.ParentPubkey, in.SessionPubkey, string(in.TimestampToken)))
	return in
}

// SessionProof lets a plain hello show that it holds the secret of the session
// key it names. The hello's own signature does not cover that key, so without
// this proof a member could name the session of another. It is optional on the
// wire, because no released peer sends it.
type SessionProof struct {
	MeshID         string
	Pubkey         string // of the member, as in the hello
	SessionPubkey  string
	TimestampToken []byte // the hello's own
	Signature      string // by the session's secret
}

// CheckSessionProof tests the clock, then the shapes, then the signature under
// the session key. MeshID, Pubkey and TimestampToken must be the hello's, so
// that a proof seen elsewhere cannot be attached to another member's hello.
func CheckSessionProof(in SessionProof, now time.Time) Refusal {
	return checkSession(sessionProofLabel, in.MeshID, in.Pubkey, in.SessionPubkey,
		in.TimestampToken, in.Signature, now)
}

// SignSessionProof makes the proof that [CheckSessionProof] accepts; at must be
// the time of the hello.
func SignSessionProof(session ed25519.PrivateKey, meshID string, member sdk.Key, at time.Time) SessionProof {
	in := SessionProof{
		MeshID:         meshID,
		Pubkey:         member.String(),
		SessionPubkey:  PublicKey(session).String(),
		TimestampToken: millisToken(at),
	}
	in.Signature = signHex(session, SessionProofText(meshID, in.Pubkey, in.SessionPubkey, string(in.TimestampToken)))
	return in
}

// checkSession tests a text that names a mesh, a member key and a session key,
// and that the session key signed.
func checkSession(label, meshID, member, session string, token []byte, signature string, now time.Time) Refusal {
	at, ok := parseMillis(token)
	if !ok || !at.near(now) {
		return TimestampSkew
	}
	if _, err := sdk.ParseKey(member); err != nil {
		return Malformed
	}
	var buf [textSize]byte
	return checkSigned(session, signature, appendTimed(buf[:0], at, label, meshID, member, session))
}

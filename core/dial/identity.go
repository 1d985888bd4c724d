package dial

import (
	"cmp"
	"crypto/ed25519"
	"os"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// attestationTTL is how long a session may use its member's word, as released
// peers ask for.
const attestationTTL = 12 * time.Hour

// Identity is who connects. MeshID, MemberID and Key are necessary.
type Identity struct {
	MeshID   string
	MemberID string
	Key      ed25519.PrivateKey // the member's

	// SessionKey is the key of this launch, by which others reach it; nil for a
	// connection that has none of its own.
	SessionKey ed25519.PrivateKey

	DisplayName string // "" leaves it to the member's row
	SessionID   string // "" becomes a fresh one
	Pid         int64  // 0 becomes this process's
	Cwd         string // "" becomes /
	Hostname    string
	PeerType    string
	Channel     string
	Model       string
	Groups      []wire.Group
}

// RoutingKey returns the public key that others send to.
func (id *Identity) RoutingKey() sdk.Key { return identity.PublicKey(id.secret()) }

// secret returns the key that direct messages are sealed with.
func (id *Identity) secret() ed25519.PrivateKey {
	if id.SessionKey != nil {
		return id.SessionKey
	}
	return id.Key
}

// withDefaults fills in what may be left empty.
func (id Identity) withDefaults() Identity {
	id.SessionID = cmp.Or(id.SessionID, identity.NewID())
	id.Pid = cmp.Or(id.Pid, int64(os.Getpid()))
	id.Cwd = cmp.Or(id.Cwd, "/")
	return id
}

// Hello returns the signed hello of a member. A session key is named in it, as
// older peers do, with a proof that it is ours.
func (id *Identity) Hello(now time.Time) *wire.Hello {
	proof := identity.SignHello(id.Key, id.MeshID, id.MemberID, now)
	h := &wire.Hello{
		MeshID: id.MeshID, MemberID: id.MemberID, Pubkey: proof.Pubkey,
		DisplayName: id.DisplayName, SessionID: id.SessionID, Pid: id.Pid, Cwd: id.Cwd,
		Hostname: id.Hostname, PeerType: id.PeerType, Channel: id.Channel, Model: id.Model, Groups: id.Groups,
		Timestamp: jsontext.Value(proof.TimestampToken), Signature: proof.Signature,
	}
	if id.SessionKey != nil {
		session := identity.SignSessionProof(id.SessionKey, id.MeshID, identity.PublicKey(id.Key), now)
		h.SessionPubkey, h.SessionProof = session.SessionPubkey, session.Signature
	}
	return h
}

// SessionHello returns the signed session_hello of a session, with a fresh
// attestation by its member. It needs a session key.
func (id *Identity) SessionHello(now time.Time) *wire.SessionHello {
	member, session := identity.PublicKey(id.Key), identity.PublicKey(id.SessionKey)
	word := identity.SignAttestation(id.Key, session, now.Add(attestationTTL))
	proof := identity.SignSessionHello(id.SessionKey, id.MeshID, member, now)
	return &wire.SessionHello{
		MeshID: id.MeshID, ParentMemberID: id.MemberID,
		ParentMemberPubkey: proof.ParentPubkey, SessionPubkey: proof.SessionPubkey,
		ParentAttestation: &wire.Attestation{
			SessionPubkey: word.SessionPubkey, ParentMemberPubkey: word.ParentPubkey,
			ExpiresAt: jsontext.Value(word.ExpiresToken), Signature: word.Signature,
		},
		DisplayName: id.DisplayName, SessionID: id.SessionID, Pid: id.Pid, Cwd: id.Cwd,
		Hostname: id.Hostname, PeerType: id.PeerType, Channel: id.Channel, Model: id.Model, Groups: id.Groups,
		Timestamp: jsontext.Value(proof.TimestampToken), Signature: proof.Signature,
	}
}

// firstFrame returns what to open with: a session_hello for a session, else a
// hello.
func (id *Identity) firstFrame(o *Options, now time.Time) wire.Frame {
	switch {
	case o.Hello != nil:
		return o.Hello
	case id.SessionKey != nil && !o.PlainHello:
		return id.SessionHello(now)
	default:
		return id.Hello(now)
	}
}

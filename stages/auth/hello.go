package auth

import (
	"context"

	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// texts say what to do about a refusal of a signature check.
var texts = map[identity.Refusal]string{
	identity.TimestampSkew: "the timestamp must be a number of milliseconds within 60 s of the broker's clock: set the clock",
	identity.Malformed:     "keys are 64 hex digits and signatures 128",
	identity.BadSignature:  "the signature does not match what it should cover",
	identity.Expired:       "the attestation has expired: mint a new one",
	identity.TTLTooLong:    "an attestation may last 24 hours at most",
}

func refuseProof(r identity.Refusal) error { return refuse(r.Reason(), texts[r]) }

// hello proves a member by its signature.
func (s *Stage) hello(ctx context.Context, call *feature.Call, h *wire.Hello) (sdk.Decision, error) {
	return decide(s.checkHello(ctx, call, h))
}

func (s *Stage) checkHello(ctx context.Context, call *feature.Call, h *wire.Hello) error {
	if call.Session != nil {
		return refuse(sdk.ReasonSecondHello, "this connection has a session already: open another one")
	}
	session, err := optionalSessionKey(h.SessionPubkey)
	if err != nil {
		return err
	}
	now := s.now()
	if r := identity.CheckHello(identity.HelloProof{
		MeshID: h.MeshID, MemberID: h.MemberID, Pubkey: h.Pubkey,
		TimestampToken: h.Timestamp, Signature: h.Signature,
	}, now); !r.OK() {
		return refuseProof(r)
	}
	if h.SessionProof != "" {
		if r := identity.CheckSessionProof(identity.SessionProof{
			MeshID: h.MeshID, Pubkey: h.Pubkey, SessionPubkey: h.SessionPubkey,
			TimestampToken: h.Timestamp, Signature: h.SessionProof,
		}, now); !r.OK() {
			return refuse(sdk.ReasonBadSessionProof, "the session key has not signed this hello")
		}
	}
	key, err := sdk.ParseKey(h.Pubkey)
	if err != nil {
		return refuseProof(identity.Malformed)
	}
	member, err := s.member(ctx, call, h.MeshID, key)
	if err != nil {
		return err
	}
	if h.MemberID != "" && h.MemberID != member.ID {
		return refuse(sdk.ReasonUnauthorized, "memberId is not the id of the member with this key")
	}
	// Before the key is claimed: the signature does not cover it.
	origin := origin{session: session, launch: h.SessionID, host: h.Hostname, remote: call.Env.Sender.Remote}
	if err := s.firstUse(ctx, h.Signature, origin, now); err != nil {
		return err
	}
	if !session.IsZero() {
		if err := s.sessionKey(ctx, call, member, session); err != nil {
			return err
		}
	}
	proved(call, member, session, h.DisplayName)
	return nil
}

// optionalSessionKey reads a session key in the strict form that routing needs;
// an empty text is none.
func optionalSessionKey(text string) (sdk.Key, error) {
	if text == "" {
		return sdk.Key{}, nil
	}
	return strictKey(text, sdk.ReasonBadSessionKey, "sessionPubkey")
}

// strictKey reads a key of 64 lower-case hex digits that can really sign.
func strictKey(text string, reason sdk.Reason, field string) (sdk.Key, error) {
	key, err := sdk.ParseKey(text)
	if err != nil || key.String() != text || identity.SmallOrder(key) {
		return sdk.Key{}, refuse(reason, field+" must be an ed25519 public key: 64 lower-case hex digits")
	}
	return key, nil
}

// sessionHello proves a session by its own signature, and by its member's word
// that the session is its own.
func (s *Stage) sessionHello(ctx context.Context, call *feature.Call, h *wire.SessionHello) (sdk.Decision, error) {
	return decide(s.checkSessionHello(ctx, call, h))
}

func (s *Stage) checkSessionHello(ctx context.Context, call *feature.Call, h *wire.SessionHello) error {
	if call.Session != nil {
		return refuse(sdk.ReasonSecondHello, "this connection has a session already: open another one")
	}
	session, err := strictKey(h.SessionPubkey, sdk.ReasonBadSessionKey, "sessionPubkey")
	if err != nil {
		return err
	}
	parent, err := strictKey(h.ParentMemberPubkey, sdk.ReasonBadParentKey, "parentMemberPubkey")
	if err != nil {
		return err
	}
	if err := s.checkSessionProofs(h); err != nil {
		return err
	}
	member, err := s.member(ctx, call, h.MeshID, parent)
	if err != nil {
		return err
	}
	if h.ParentMemberID != "" && h.ParentMemberID != member.ID {
		return refuse(sdk.ReasonParentMismatch, "parentMemberId is not the id of the member with this key")
	}
	if err := s.sessionKey(ctx, call, member, session); err != nil {
		return err
	}
	origin := origin{session: session, launch: h.SessionID, host: h.Hostname, remote: call.Env.Sender.Remote}
	if err := s.firstUse(ctx, h.Signature, origin, s.now()); err != nil {
		return err
	}
	proved(call, member, session, h.DisplayName)
	return nil
}

// checkSessionProofs tests the attestation, then the hello's own signature.
func (s *Stage) checkSessionProofs(h *wire.SessionHello) error {
	a := h.ParentAttestation
	if a == nil || a.SessionPubkey != h.SessionPubkey || a.ParentMemberPubkey != h.ParentMemberPubkey {
		return refuse(sdk.ReasonAttestation, "parentAttestation must name the same two keys as the hello")
	}
	now := s.now()
	if r := identity.CheckAttestation(identity.AttestationProof{
		ParentPubkey: a.ParentMemberPubkey, SessionPubkey: a.SessionPubkey,
		ExpiresToken: a.ExpiresAt, Signature: a.Signature,
	}, now); !r.OK() {
		return refuseProof(r)
	}
	if r := identity.CheckSessionHello(identity.SessionHelloProof{
		MeshID: h.MeshID, ParentPubkey: h.ParentMemberPubkey, SessionPubkey: h.SessionPubkey,
		TimestampToken: h.Timestamp, Signature: h.Signature,
	}, now); !r.OK() {
		return refuseProof(r)
	}
	return nil
}

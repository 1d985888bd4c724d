package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/issue"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// ClaimInvite is the body of POST /invites/{code}/claim.
//
// The key that is enrolled signs the code, itself, the recipient key and the
// time; see identity.ClaimProof. The signature covers the texts as they are
// sent here, the code as it is in the path. It names no account, and somebody
// may repeat it within its minute, so that an account that comes along gets no
// member by it: that takes [LinkMember].
type ClaimInvite struct {
	Code         string         `path:"code" json:"-" doc:"short code of the invite, in either case"`
	RecipientKey string         `json:"recipient_x25519_pubkey" required:"true" max:"128" doc:"x25519 key that the root key is sealed to, 32 bytes in base64url without padding"`
	Pubkey       string         `json:"peer_pubkey,omitempty" max:"128" needed:"true" doc:"ed25519 key to enrol, 64 hex digits. A claim without it, or without timestamp or signature, proves nothing: it is refused with 501 and invite_v2_disabled"`
	Timestamp    jsontext.Value `json:"timestamp,omitempty" max:"32" needed:"true" form:"number" doc:"milliseconds since 1970, within 60 s of the broker's clock"`
	Signature    string         `json:"signature,omitempty" max:"256" needed:"true" doc:"peer_pubkey's ed25519 signature over claudemesh-claim-v2|<code>|<peer_pubkey>|<recipient_x25519_pubkey>|<timestamp>, 128 hex digits; each as it is sent, the code as it is in the path"`
	DisplayName  string         `json:"display_name,omitempty" max:"256" doc:"name shown to others, unless the invite sets one; member- and 8 digits of the key when absent"`
}

// InviteClaimed answers a [ClaimInvite].
type InviteClaimed struct {
	SealedRootKey string `json:"sealed_root_key" doc:"the mesh's root key, 32 bytes in a sealed box for the recipient key (crypto_box_seal of libsodium), base64url without padding"`
	MeshID        string `json:"mesh_id" doc:"id of the mesh"`
	MemberID      string `json:"member_id" doc:"id of the member, part of what it signs to connect; it has no account, also when one asks: POST /cli/mesh/{slug}/link gives it one"`
	OwnerPubkey   string `json:"owner_pubkey" doc:"key of the mesh's owner"`
	CanonicalV2   string `json:"canonical_v2" doc:"what the owner signed of the invite"`
	AlreadyMember bool   `json:"already_member,omitzero" doc:"true when the key was enrolled before; no use was spent"`
}

// Reasons of claims alone. The words are the wire's.
const (
	ReasonClaimsOff sdk.Reason = "invite_v2_disabled"
	ReasonExhausted sdk.Reason = "exhausted"
)

// Claims adds the route by which somebody who knows a short code enrols a key.
func Claims(t *Table, d Deps) {
	s := &claims{d}
	On(t, Route{
		Method: http.MethodPost, Path: "/invites/{code}/claim", Kind: "http.invite.claim", Group: groupInvites,
		Summary: "enrols a key in a mesh with an invite's short code", Access: feature.AnyoneKnown, Guessable: true,
		Words: true, AllWords: true,
		Status: map[sdk.Reason]int{
			ReasonClaimsOff: http.StatusNotImplemented, sdk.ReasonBadSignature: http.StatusBadRequest,
			sdk.ReasonSkew: http.StatusBadRequest, sdk.ReasonRevoked: http.StatusGone, sdk.ReasonExpired: http.StatusGone,
			ReasonExhausted: http.StatusGone,
		},
		Refusals: []sdk.Reason{
			ReasonClaimsOff, sdk.ReasonMalformed, sdk.ReasonSkew, sdk.ReasonNotFound, sdk.ReasonRevoked, sdk.ReasonExpired,
			ReasonExhausted, sdk.ReasonBadSignature,
		},
	}, s.claim)
}

const (
	textClaimsOff = "invites cannot be claimed by their code here: join with the invite's link or its token"
	textUnproved  = "this broker enrols only a key that proves itself: join with the invite's link or its token, or " +
		"with a client that also sends peer_pubkey, timestamp and signature"
)

type claims struct{ Deps }

// claim enrols a key. The answer is complete, the root key sealed, before a use
// is spent; spending it and enrolling the member are one transaction.
func (s *claims) claim(ctx context.Context, c *feature.Call, m *ClaimInvite) (*InviteClaimed, error) {
	recipient, err := s.checkBody(m)
	if err != nil {
		return nil, err
	}
	proof := identity.CheckClaim(identity.ClaimProof{
		Code: m.Code, PeerPubkey: m.Pubkey, RecipientKey: m.RecipientKey, TimestampToken: m.Timestamp, Signature: m.Signature,
	}, c.Env.Arrived)
	if !proof.OK() && proof != identity.BadSignature {
		return nil, unproved(proof)
	}
	key, err := sdk.ParseKey(m.Pubkey)
	if err != nil {
		return nil, core.Refuse(sdk.ReasonMalformed, "peer_pubkey must be 64 hex digits")
	}
	inv, mesh, err := s.find(ctx, c, m.Code)
	if err != nil {
		return nil, err
	}
	claim := &claiming{call: c, key: key, name: m.DisplayName, invite: inv, mesh: mesh}
	if proof.OK() {
		if claim.member, err = s.enrolled(ctx, mesh.ID, key); err != nil {
			return nil, err
		}
	}
	if claim.member == nil && inv.UsedCount >= inv.MaxUses {
		return nil, exhausted()
	}
	if !proof.OK() {
		return nil, unproved(proof)
	}
	answer, err := s.seal(mesh, inv, recipient)
	if err != nil {
		return nil, err
	}
	return s.enrol(ctx, claim, answer)
}

// claiming is a claim whose proof is good.
type claiming struct {
	call   *feature.Call
	key    sdk.Key
	name   string
	invite *store.Invite
	mesh   *store.Mesh
	member *store.Member // nil while the key is not enrolled
}

// checkBody looks at all that needs neither the invite nor the signature.
func (s *claims) checkBody(m *ClaimInvite) (identity.SealKey, error) {
	switch {
	case m.RecipientKey == "":
		return identity.SealKey{}, core.Refuse(sdk.ReasonMalformed, "recipient_x25519_pubkey: is required")
	case !s.Config.Claims:
		return identity.SealKey{}, core.Refuse(ReasonClaimsOff, textClaimsOff)
	case m.Pubkey == "" || m.Signature == "" || len(m.Timestamp) == 0:
		return identity.SealKey{}, core.Refuse(ReasonClaimsOff, textUnproved)
	case !plain(m.DisplayName):
		return identity.SealKey{}, core.Refuse(sdk.ReasonMalformed, "display_name: must be plain text, without control characters")
	}
	recipient, err := identity.ParseSealKey(m.RecipientKey)
	if err != nil {
		return recipient, core.Refuse(sdk.ReasonMalformed,
			"recipient_x25519_pubkey: must be an x25519 key, 32 bytes in base64url without padding")
	}
	return recipient, nil
}

// find returns the invite of a code, which holds but may be used up, and its
// mesh.
func (s *claims) find(ctx context.Context, c *feature.Call, code string) (*store.Invite, *store.Mesh, error) {
	inv, err := s.Store.InviteByCode(ctx, identity.NormalizeCode(code))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil, unknownCode()
	case err != nil:
		return nil, nil, core.Unavailable(err)
	case !inv.RevokedAt.IsZero():
		return nil, nil, withdrawn()
	case inv.ExpiresAt.Before(c.Env.Arrived):
		return nil, nil, core.Refuse(sdk.ReasonExpired, "the invite has expired: ask for another one")
	}
	mesh, err := s.Store.Mesh(ctx, inv.MeshID)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && !mesh.ArchivedAt.IsZero():
		return nil, nil, unknownCode()
	case err != nil:
		return nil, nil, core.Unavailable(err)
	}
	if ok, err := upheld(ctx, s.Store, mesh, inv); err != nil {
		return nil, nil, err
	} else if !ok {
		return nil, nil, withdrawn()
	}
	return inv, mesh, nil
}

// seal makes the answer, but for the member.
func (s *claims) seal(mesh *store.Mesh, inv *store.Invite, to identity.SealKey) (*InviteClaimed, error) {
	v2 := issue.InviteV2(mesh, inv)
	switch v2.CheckCapability(inv.Capability) {
	case identity.Accepted:
	case identity.BadSignature:
		return nil, core.Refuse(sdk.ReasonBadSignature, "the invite is not what the owner of the mesh signed: ask for another one")
	default:
		return nil, core.Refuse(sdk.ReasonMalformed, "this invite cannot be claimed by its code: join with its link or its token")
	}
	sealed, err := s.Issuer.SealRootKey(mesh, to)
	if refused, ok := errors.AsType[*core.Error](err); ok && (refused.Code == sdk.ReasonMalformed || refused.Code == "no_key") {
		return nil, core.Refuse(sdk.ReasonMalformed, refused.Message)
	}
	if err != nil {
		return nil, issued(err, "")
	}
	return &InviteClaimed{
		SealedRootKey: sealed, MeshID: mesh.ID, OwnerPubkey: mesh.OwnerKey.String(), CanonicalV2: v2.Canonical(),
	}, nil
}

// enrol spends a use on a key that has no row yet.
func (s *claims) enrol(ctx context.Context, cl *claiming, answer *InviteClaimed) (*InviteClaimed, error) {
	c := cl.call
	c.Env.Mesh = cl.mesh.ID
	if cl.member != nil {
		return again(cl, answer), nil
	}
	if cl.name == "" {
		cl.name = "member-" + cl.key.String()[:8]
	}
	member := newMember(cl.mesh.ID, cl.key, cl.name, cl.invite, c.Env.Arrived)
	switch err := s.Store.RedeemInvite(ctx, cl.invite.ID, member); {
	case errors.Is(err, store.ErrConflict): // the same key, at the same time
		if cl.member, err = s.enrolled(ctx, cl.mesh.ID, cl.key); err != nil || cl.member == nil {
			return nil, core.Unavailable(err)
		}
		return again(cl, answer), nil
	case errors.Is(err, store.ErrExhausted):
		return nil, exhausted()
	case err != nil:
		return nil, core.Unavailable(err)
	}
	c.Env.Sender.MemberID, c.Env.Sender.Member, c.Env.Sender.Name = member.ID, member.Key, member.DisplayName
	record(c, "member_joined", audit.String("invite", cl.invite.ID), audit.String("pubkey", member.Key.String()),
		audit.String("role", string(member.Role)))
	answer.MemberID = member.ID
	return answer, nil
}

// again answers a key that was enrolled before, and spends nothing.
func again(cl *claiming, answer *InviteClaimed) *InviteClaimed {
	sender := &cl.call.Env.Sender
	answer.MemberID, answer.AlreadyMember = cl.member.ID, true
	sender.MemberID, sender.Member, sender.Name = cl.member.ID, cl.key, cl.member.DisplayName
	return answer
}

// enrolled returns the live member that has a key, nil when there is none. A
// revoked one does not come back with an invite.
func (s *claims) enrolled(ctx context.Context, meshID string, key sdk.Key) (*store.Member, error) {
	m, err := s.Store.Member(ctx, meshID, key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, core.Unavailable(err)
	case !m.Live():
		return nil, core.Refuse(sdk.ReasonRevoked, "this key's access to the mesh was revoked: contact its owner")
	}
	return m, nil
}

// unproved words the refusal of a proof.
func unproved(r identity.Refusal) error {
	switch r {
	case identity.TimestampSkew:
		return core.Refuse(sdk.ReasonSkew, "timestamp must be a number of milliseconds within 60 s of now: set the clock")
	case identity.BadSignature:
		return core.Refuse(sdk.ReasonBadSignature, "the signature is not peer_pubkey's over this claim")
	default:
		return core.Refuse(sdk.ReasonMalformed, "peer_pubkey must be 64 hex digits, signature 128, and the code has 64 characters at most")
	}
}

func withdrawn() error {
	return core.Refuse(sdk.ReasonRevoked, "the invite was withdrawn: ask for another one")
}

func exhausted() error {
	return core.Refuse(ReasonExhausted, "this invite has no use left: ask for another one")
}

func unknownCode() error {
	return core.Refuse(sdk.ReasonNotFound, "this broker knows no invite with this code: check it, and the broker's address")
}

package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Join is the body of POST /join.
type Join struct {
	Token       string            `json:"invite_token" required:"true" max:"8192" doc:"the invite, as it was handed out"`
	Payload     identity.InviteV1 `json:"invite_payload" required:"true" doc:"what the token encodes"`
	Pubkey      string            `json:"peer_pubkey" required:"true" max:"128" doc:"ed25519 key to enrol, 64 hex digits"`
	DisplayName string            `json:"display_name" required:"true" max:"256" doc:"name shown to others, unless the invite sets one"`

	// An account comes along with a bearer token. It gets the member only if the
	// key agrees: whoever has an invite could enrol a key that is not theirs.
	Timestamp jsontext.Value `json:"timestamp,omitempty" max:"64" form:"number" doc:"with signature: clock of the caller, ms since 1970, at most 60000 ms from the broker's"`
	Signature string         `json:"signature,omitempty" max:"256" doc:"ties the member to the account whose bearer token comes along: peer_pubkey's ed25519 signature over claudemesh-link-v1|<mesh id>|<peer_pubkey>|<account id>|<timestamp>, 128 hex digits"`
}

// Joined answers a [Join].
type Joined struct {
	OK            bool   `json:"ok" doc:"true"`
	MemberID      string `json:"memberId" doc:"the member's id, part of what it signs to connect"`
	AlreadyMember bool   `json:"alreadyMember,omitzero" doc:"true when the key was enrolled before; no use was spent"`
}

// JoinStore is what joining reads and writes.
type JoinStore interface {
	MakerStore
	Mesh(ctx context.Context, id string) (*store.Mesh, error)
	InviteByToken(ctx context.Context, token string) (*store.Invite, error)
	RedeemInvite(ctx context.Context, inviteID string, m *store.Member) error
	Member(ctx context.Context, mesh string, key sdk.Key) (*store.Member, error)
}

// Joins adds the route by which strangers who hold an invite enrol a key.
func Joins(t *Table, st JoinStore) {
	j := &joins{store: st}
	On(t, Route{
		Method: http.MethodPost, Path: "/join", Kind: sdk.KindJoin, Group: "Joining", Guessable: true, Words: true,
		Summary: "enrols a key in a mesh with an invite", Access: feature.AnyoneKnown,
		BadBody:   "the body must be a JSON object",
		Missing:   textJoinMissing,
		Status:    map[sdk.Reason]int{sdk.ReasonBadSignature: http.StatusBadRequest, sdk.ReasonSkew: http.StatusBadRequest},
		Otherwise: http.StatusBadRequest,
		Refusals: []sdk.Reason{
			"invite_bad_signature", "mesh_not_found", "mesh_missing_owner_key", "invite_owner_mismatch", "invite_not_found",
			"invite_mesh_mismatch", "invite_revoked", "invite_expired", "invite_exhausted", sdk.ReasonRevoked,
			sdk.ReasonForbidden, sdk.ReasonBadSignature, sdk.ReasonSkew,
		},
	}, j.join)
}

const textJoinMissing = "invite_token, invite_payload, peer_pubkey, display_name required"

type joins struct{ store JoinStore }

// join checks the invite in the order that clients know, and spends a use.
//
// The role is the stored invite's own: a payload is only believed when the
// token is its exact encoding.
func (j *joins) join(ctx context.Context, c *feature.Call, m *Join) (*Joined, error) {
	key, err := j.checkBody(m)
	if err != nil {
		return nil, err
	}
	mesh, err := j.checkMesh(ctx, m)
	if err != nil {
		return nil, err
	}
	inv, err := j.checkInvite(ctx, m, mesh, c.Env.Arrived)
	if err != nil {
		return nil, err
	}
	c.Env.Mesh = mesh.ID
	if reply, err := j.enrolled(ctx, mesh.ID, key); reply != nil || err != nil {
		return reply, err
	}
	if key == mesh.OwnerKey {
		return nil, core.Refuse(sdk.ReasonForbidden, "peer_pubkey is the key of the mesh's owner: join with a key of your own")
	}
	member := newMember(mesh.ID, key, m.DisplayName, inv, c.Env.Arrived)
	if member.AccountID, err = j.account(c, m, mesh); err != nil {
		return nil, err
	}
	switch err := j.store.RedeemInvite(ctx, inv.ID, member); {
	case errors.Is(err, store.ErrConflict):
		return j.enrolled(ctx, mesh.ID, key)
	case errors.Is(err, store.ErrExhausted):
		return nil, core.Refuse("invite_exhausted", "this invite has no use left: ask for another one")
	case err != nil:
		return nil, core.Unavailable(err)
	}
	c.Env.Sender.MemberID, c.Env.Sender.Member, c.Env.Sender.Name = member.ID, key, member.DisplayName
	c.Env.Records = append(c.Env.Records, sdk.Record{Event: "member_joined", Payload: audit.Object(
		audit.String("invite", inv.ID), audit.String("pubkey", key.String()), audit.String("role", string(inv.Role)))})
	return &Joined{OK: true, MemberID: member.ID}, nil
}

// account returns the account that the key agrees to belong to, "" for none.
func (j *joins) account(c *feature.Call, m *Join, mesh *store.Mesh) (string, error) {
	if c.HTTP.Account == nil || m.Signature == "" {
		return "", nil
	}
	id := c.HTTP.Account.ID
	refusal := identity.CheckLink(identity.LinkProof{
		MeshID: mesh.ID, Pubkey: m.Pubkey, AccountID: id, TimestampToken: m.Timestamp, Signature: m.Signature,
	}, c.Env.Arrived)
	if !refusal.OK() {
		return "", core.Refuse(refusal.Reason(), linkTexts[refusal])
	}
	return id, nil
}

// checkBody reads the key and the invite's own signature.
func (j *joins) checkBody(m *Join) (sdk.Key, error) {
	if m.Token == "" || m.Payload.MeshID == "" || m.Pubkey == "" || m.DisplayName == "" {
		return sdk.Key{}, core.Refuse(sdk.ReasonMalformed, textJoinMissing)
	}
	if len(m.DisplayName) > 256 {
		return sdk.Key{}, core.Refuse(sdk.ReasonMalformed, "display_name may have 256 bytes at most")
	}
	if !plain(m.DisplayName) {
		return sdk.Key{}, core.Refuse(sdk.ReasonMalformed, "display_name must be plain text, without control characters")
	}
	key, err := sdk.ParseKey(m.Pubkey)
	if err != nil {
		return sdk.Key{}, core.Refuse(sdk.ReasonMalformed, "peer_pubkey must be 64 hex chars (32 bytes)")
	}
	if identity.SmallOrder(key) {
		return sdk.Key{}, core.Refuse(sdk.ReasonMalformed, "peer_pubkey must be an ed25519 key that can sign")
	}
	if !m.Payload.VerifySignature() {
		return sdk.Key{}, core.Refuse("invite_bad_signature",
			"invite_payload is not what the owner_pubkey that it names has signed: send the token's JSON as it is"+notAToken(m.Token))
	}
	return key, nil
}

func (j *joins) checkMesh(ctx context.Context, m *Join) (*store.Mesh, error) {
	mesh, err := j.store.Mesh(ctx, m.Payload.MeshID)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && !mesh.ArchivedAt.IsZero():
		return nil, core.Refuse("mesh_not_found", "this broker has no such mesh")
	case err != nil:
		return nil, core.Unavailable(err)
	case mesh.OwnerKey.IsZero():
		return nil, core.Refuse("mesh_missing_owner_key", "this mesh has no owner key, so nobody can sign its invites")
	case mesh.OwnerKey.String() != m.Payload.OwnerPubkey:
		return nil, core.Refuse("invite_owner_mismatch", "the invite was signed by somebody who does not own the mesh")
	}
	return mesh, nil
}

func (j *joins) checkInvite(ctx context.Context, m *Join, mesh *store.Mesh, now time.Time) (*store.Invite, error) {
	inv, err := j.store.InviteByToken(ctx, m.Token)
	if errors.Is(err, store.ErrNotFound) {
		return nil, core.Refuse("invite_not_found", unknownInvite(m.Token))
	}
	if err != nil {
		return nil, core.Unavailable(err)
	}
	token, err := m.Payload.Token()
	switch {
	case inv.MeshID != m.Payload.MeshID:
		return nil, core.Refuse("invite_mesh_mismatch", "the invite is for another mesh")
	case err != nil || token != m.Token:
		return nil, core.Refuse("invite_bad_signature", "the payload is not the one that the token encodes")
	case !inv.RevokedAt.IsZero():
		return nil, inviteWithdrawn()
	case inv.ExpiresAt.Before(now):
		return nil, core.Refuse("invite_expired", "the invite has expired: ask for another one")
	}
	if ok, err := upheld(ctx, j.store, mesh, inv); err != nil {
		return nil, err
	} else if !ok {
		return nil, inviteWithdrawn()
	}
	return inv, nil
}

func inviteWithdrawn() error {
	return core.Refuse("invite_revoked", "the invite was withdrawn: ask for another one")
}

// unknownInvite says what may be wrong with a token that is none of ours.
func unknownInvite(token string) string {
	if hint := notAToken(token); hint != "" {
		return "invite_token is not one" + hint
	}
	return "this broker made no invite with this token: check the broker's address, and that the token is whole"
}

// notAToken says of a text that is a link or a short code how to come to the
// token; "" of others.
func notAToken(text string) string {
	switch {
	case strings.Contains(text, "/i/"), len(text) <= maxShortCode:
		return "; invite_token looks like a short link or code, whose token GET /api/public/invite-code/{code} finds"
	case strings.Contains(text, "://"):
		return "; invite_token looks like a link: the token is what stands behind the last slash"
	default:
		return ""
	}
}

// maxShortCode is how long a text may be that is taken for a short code: tokens
// have hundreds of characters.
const maxShortCode = 64

// enrolled answers for a key that has a row already. A revoked member does not
// come back with an invite: only an unban brings it back.
//
// An account that asks does not get the member: a join says which key it is for
// and does not prove it, and keys are no secrets. [LinkMember] proves it.
func (j *joins) enrolled(ctx context.Context, meshID string, key sdk.Key) (*Joined, error) {
	m, err := j.store.Member(ctx, meshID, key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, core.Unavailable(err)
	case !m.Live():
		return nil, core.Refuse(sdk.ReasonRevoked, "this key's access to the mesh was revoked: contact its owner")
	}
	return &Joined{OK: true, MemberID: m.ID, AlreadyMember: true}, nil
}

// newMember is the member that an invite makes.
func newMember(meshID string, key sdk.Key, name string, inv *store.Invite, now time.Time) *store.Member {
	m := &store.Member{
		ID: identity.NewID(), MeshID: meshID, Key: key, DisplayName: name, Role: inv.Role,
		RoleTag: inv.Preset.RoleTag, DefaultGroups: inv.Preset.Groups, MessageMode: "push", JoinedAt: now,
	}
	if inv.Preset.DisplayName != "" {
		m.DisplayName = inv.Preset.DisplayName
	}
	if inv.Preset.MessageMode != "" {
		m.MessageMode = inv.Preset.MessageMode
	}
	return m
}

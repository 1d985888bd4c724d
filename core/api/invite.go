package api

import (
	"context"
	"net/http"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/issue"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

const groupInvites = "Invites"

// Bounds of invites that are made over HTTP. The operator's own may be wider.
const (
	maxInviteUses = 10_000
	maxInviteTTL  = 365 * 24 * time.Hour
)

// CreateInvite is the body of POST /cli/mesh/{slug}/invite.
type CreateInvite struct {
	Slug      string `path:"slug" json:"-" doc:"slug or id of the mesh"`
	Email     string `json:"email,omitempty" max:"320" doc:"not used: this broker sends no mail"`
	Role      string `json:"role,omitempty" max:"32" doc:"admin makes an admin, anything else a member"`
	ExpiresIn *int64 `json:"expires_in,omitempty" doc:"seconds that the invite holds, 1 to 31536000; 604800, which is seven days, when absent"`
	MaxUses   *int64 `json:"max_uses,omitempty" doc:"how many may join with it, 1 to 10000; 1 when absent"`
}

// MeshName implements [feature.MeshNamer].
func (m *CreateInvite) MeshName() string { return m.Slug }

// InviteCreated answers a [CreateInvite].
type InviteCreated struct {
	URL       string     `json:"url" doc:"link to hand out"`
	Code      string     `json:"code" doc:"short code, which the link ends with"`
	ExpiresAt string     `json:"expires_at" doc:"until when somebody can join with it"`
	Emailed   bool       `json:"emailed" doc:"false: this broker sends no mail"`
	ID        string     `json:"id" doc:"id of the invite, to revoke it"`
	Role      store.Role `json:"role" doc:"what it makes of who joins: admin or member"`
	MaxUses   int        `json:"max_uses" doc:"how many may join with it"`
}

// MeshInvites adds the route that makes an invite.
func MeshInvites(t *Table, d Deps) {
	s := &meshInvites{d}
	On(t, Route{
		Method: http.MethodPost, Path: "/cli/mesh/{slug}/invite", Kind: "http.invite.create", Group: groupInvites,
		Summary: "makes an invite to a mesh", Access: feature.AnyCaller, Legacy: true, BadBody: textBadBody,
		Refusals: []sdk.Reason{sdk.ReasonUnknownMesh, sdk.ReasonForbidden, sdk.ReasonInvalid, ReasonConflict},
	}, s.create)
}

// mayNotInvite has the original's words, whose owner was the only one.
func mayNotInvite() error {
	return core.Refuse(sdk.ReasonForbidden, "Only the owner can invite (for now)").Explain(
		"the owner, admins and whoever else has canInvite may: ask one of them for an invite or for the permission. " + ownerHint)
}

type meshInvites struct{ Deps }

func (s *meshInvites) create(ctx context.Context, c *feature.Call, m *CreateInvite) (*InviteCreated, error) {
	mesh, err := named(c)
	if err != nil {
		return nil, err
	}
	if !may(c, store.CanInvite) {
		return nil, mayNotInvite()
	}
	options, err := m.options()
	if err != nil {
		return nil, err
	}
	if refused := mayInviteAs(mesh, manager(c), options.Role); refused != nil {
		return nil, refused
	}
	options.CreatedBy = inviter(c)
	inv, err := s.Issuer.Invite(ctx, mesh, options)
	if err != nil {
		return nil, issued(err, "too many equal invites were made in this second: try again in a moment")
	}
	record(c, "invite_created", audit.String("invite", inv.ID), audit.String("role", string(inv.Role)),
		audit.Int("max_uses", int64(inv.MaxUses)), audit.String("expires_at", stamp(inv.ExpiresAt)))
	return &InviteCreated{
		URL: issue.ShortLink(s.Links(), inv.Code), Code: inv.Code, ExpiresAt: stamp(inv.ExpiresAt),
		ID: inv.ID, Role: inv.Role, MaxUses: inv.MaxUses,
	}, nil
}

// inviter returns who makes an invite: the account, else the member.
func inviter(c *feature.Call) string {
	if c.HTTP.Account != nil {
		return c.HTTP.Account.ID
	}
	return c.Member.ID
}

// options returns what the invite is to allow.
func (m *CreateInvite) options() (issue.InviteOptions, error) {
	o := issue.InviteOptions{Role: store.RoleMember}
	if m.Role == string(store.RoleAdmin) {
		o.Role = store.RoleAdmin
	}
	if n := m.MaxUses; n != nil {
		if *n < 1 || *n > maxInviteUses {
			return o, core.Refuse(sdk.ReasonInvalid, "max_uses: must be 1 to 10000")
		}
		o.Uses = int(*n)
	}
	if n := m.ExpiresIn; n != nil {
		if *n < 1 || *n > int64(maxInviteTTL/time.Second) {
			return o, core.Refuse(sdk.ReasonInvalid, "expires_in: must be 1 to 31536000, in seconds")
		}
		o.TTL = time.Duration(*n) * time.Second
	}
	return o, nil
}

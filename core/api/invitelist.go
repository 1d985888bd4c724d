package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// maxInvites is how many invites a list has at most.
const maxInvites = 500

// ListInvites is GET /cli/mesh/{slug}/invites.
type ListInvites struct {
	Slug string `path:"slug" json:"-" doc:"slug or id of the mesh"`
}

// MeshName implements [feature.MeshNamer].
func (m *ListInvites) MeshName() string { return m.Slug }

// InviteList answers a [ListInvites].
type InviteList struct {
	Invites []ListedInvite `json:"invites" doc:"the newest 500, the newest first, also those that no longer hold"`
}

// ListedInvite is an invite without its token.
type ListedInvite struct {
	ID        string     `json:"id" doc:"id of the invite"`
	Code      string     `json:"code,omitempty" doc:"short code; left out for those who may not make such an invite"`
	Role      store.Role `json:"role" doc:"what it makes of who joins: admin or member"`
	MaxUses   int        `json:"max_uses" doc:"how many may join with it"`
	UsedCount int        `json:"used_count" doc:"how many have"`
	CreatedBy string     `json:"created_by,omitempty" doc:"account or member that made it; absent for the operator"`
	CreatedAt string     `json:"created_at" doc:"when it was made"`
	ExpiresAt string     `json:"expires_at" doc:"until when somebody can join with it"`
	RevokedAt string     `json:"revoked_at,omitempty" doc:"when it was withdrawn; absent while it was not"`
}

// RevokeInvite is DELETE /cli/mesh/{slug}/invites/{id}. A body may name the
// account, for legacy-auth.
type RevokeInvite struct {
	Slug string `path:"slug" json:"-" doc:"slug or id of the mesh"`
	ID   string `path:"id" json:"-" doc:"id of the invite"`
}

// MeshName implements [feature.MeshNamer].
func (m *RevokeInvite) MeshName() string { return m.Slug }

// InviteRevoked answers a [RevokeInvite].
type InviteRevoked struct {
	OK      bool   `json:"ok" doc:"true"`
	Revoked string `json:"revoked" doc:"id of the invite"`
}

// InviteLists adds the routes by which those who invite keep track of their
// invites.
func InviteLists(t *Table, d Deps) {
	s := &inviteLists{d}
	On(t, Route{
		Method: http.MethodGet, Path: "/cli/mesh/{slug}/invites", Kind: "http.invite.list", Group: groupInvites,
		Summary: "lists the invites of a mesh", Access: feature.AnyCaller, Legacy: true, Body: BodyNone,
		Refusals: []sdk.Reason{sdk.ReasonUnknownMesh, sdk.ReasonForbidden},
	}, s.list)
	On(t, Route{
		Method: http.MethodDelete, Path: "/cli/mesh/{slug}/invites/{id}", Kind: "http.invite.revoke", Group: groupInvites,
		Summary: "withdraws an invite for good; who has joined with it stays", Access: feature.AnyCaller, Legacy: true,
		Body: BodyOptional, BadBody: textBadBody,
		Refusals: []sdk.Reason{sdk.ReasonUnknownMesh, sdk.ReasonForbidden, sdk.ReasonNotFound},
	}, s.revoke)
}

type inviteLists struct{ Deps }

// list shows what somebody who may invite could also have been handed. A code is
// as good as its invite, so it is for those who may make such an invite.
func (s *inviteLists) list(ctx context.Context, c *feature.Call, _ *ListInvites) (*InviteList, error) {
	mesh, err := s.mesh(c)
	if err != nil {
		return nil, err
	}
	rows, err := s.Store.ListInvites(ctx, mesh.ID, maxInvites)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	list := make([]ListedInvite, len(rows))
	for i, inv := range rows {
		list[i] = ListedInvite{
			ID: inv.ID, Code: inv.Code, Role: inv.Role, MaxUses: inv.MaxUses, UsedCount: inv.UsedCount,
			CreatedBy: inv.CreatedBy, CreatedAt: stamp(inv.CreatedAt), ExpiresAt: stamp(inv.ExpiresAt),
		}
		if mayInviteAs(mesh, manager(c), inv.Role) != nil {
			list[i].Code = ""
		}
		if !inv.RevokedAt.IsZero() {
			list[i].RevokedAt = stamp(inv.RevokedAt)
		}
	}
	return &InviteList{Invites: list}, nil
}

func (s *inviteLists) revoke(ctx context.Context, c *feature.Call, m *RevokeInvite) (*InviteRevoked, error) {
	mesh, err := s.mesh(c)
	if err != nil {
		return nil, err
	}
	switch err := s.Store.RevokeInvite(ctx, mesh.ID, m.ID, c.Env.Arrived.UTC().Truncate(time.Millisecond)); {
	case errors.Is(err, store.ErrNotFound):
		return nil, core.Refuse(sdk.ReasonNotFound, "Invite not found")
	case err != nil:
		return nil, core.Unavailable(err)
	}
	record(c, "invite_revoked", audit.String("invite", m.ID))
	return &InviteRevoked{OK: true, Revoked: m.ID}, nil
}

// mesh returns the mesh that a request names, for those who may invite to it.
func (s *inviteLists) mesh(c *feature.Call) (*store.Mesh, error) {
	mesh, err := named(c)
	if err != nil {
		return nil, err
	}
	if !may(c, store.CanInvite) {
		return nil, mayNotInvite()
	}
	return mesh, nil
}

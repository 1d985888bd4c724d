package api

import (
	"context"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// roleMayChange refuses a new role of the owner, and one that gives what the one
// who made the change does not have.
func roleMayChange(mesh *store.Mesh, by, before, after *store.Member) *core.Error {
	switch {
	case !after.Live():
		return core.Refuse(sdk.ReasonNotFound, textNoMember)
	case before.Role == after.Role:
		return nil
	case mesh.OwnedBy(after):
		return core.Refuse(sdk.ReasonForbidden, "permission: nobody changes the role of the owner of a mesh")
	}
	return mayGive(mesh, by, after, effective(mesh, before))
}

// keepsAnAdmin refuses to make a member of the last admin. The owner counts as
// one, and is refused elsewhere.
func (h *members) keepsAnAdmin(ctx context.Context, mesh *store.Mesh, target *store.Member, role store.Role) error {
	if role == store.RoleAdmin || mesh.OwnedBy(target) {
		return nil
	}
	list, err := h.store.ListMembers(ctx, mesh.ID)
	if err != nil {
		return core.Unavailable(err)
	}
	for _, m := range list {
		if m.ID != target.ID && m.Live() && isAdmin(mesh, m) {
			return nil
		}
	}
	return core.Refuse(sdk.ReasonForbidden, "permission: the mesh would be left without an admin: make somebody else one first")
}

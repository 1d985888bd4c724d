package api

import (
	"slices"

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

// keepsAnAdmin refuses a change of a row that leaves its mesh without an admin.
// The owner counts as one, and is refused elsewhere.
func keepsAnAdmin(mesh *store.Mesh, before, after *store.Member, others []*store.Member) *core.Error {
	if !isAdmin(mesh, before) || isAdmin(mesh, after) || slices.ContainsFunc(others, func(m *store.Member) bool { return isAdmin(mesh, m) }) {
		return nil
	}
	return core.Refuse(sdk.ReasonForbidden, "permission: the mesh would be left without an admin: make somebody else one first")
}

package feature

import (
	"context"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Needs makes whoever sends such a frame need a permission in its mesh. Dispatch
// refuses others as forbidden, in the owner's own shape, before the handler. What
// comes over HTTP may be from an owner without a member: its handlers ask
// [store.Mesh.May] themselves.
func (o *Owner) Needs(p store.Permission) *Owner {
	o.needs = p
	return o
}

// permitted reports why the member that asks may not; nil when it may.
//
// The rows come from the roster each time, which has them in memory: what is
// taken from a member is gone with its next frame. Every message passes here, so
// the mesh is only looked at for members of whom something was decided.
func (r *Registry) permitted(ctx context.Context, c *Call, p store.Permission) *core.Error {
	who, err := r.roster.MemberByID(ctx, c.Env.Sender.MemberID)
	if err != nil {
		return core.Unavailable(err)
	}
	if c.Post != nil && !who.Live() { // of others the session would have ended
		return core.Refuse(sdk.ReasonRevoked, "the access of this message's sender to the mesh was revoked")
	}
	if len(who.Permissions) == 0 && p.Everyones() {
		return nil
	}
	mesh, err := r.roster.Mesh(ctx, c.Env.Mesh)
	switch {
	case err != nil:
		return core.Unavailable(err)
	case !mesh.May(who, p):
		return core.Refuse(sdk.ReasonForbidden,
			"you do not have the permission "+string(p)+" in this mesh: ask its owner or an admin for it")
	}
	return nil
}

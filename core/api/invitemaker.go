package api

import (
	"context"
	"errors"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// mayInviteAs reports why a member may not make an invite for a role; nil when it
// may. An invite gives no more than who makes it has: a member of whom the owner
// has taken something would else get it back by a friend, or by a second key. A
// nil member may make none.
func mayInviteAs(mesh *store.Mesh, by *store.Member, role store.Role) error {
	switch {
	case by == nil || !mesh.May(by, store.CanInvite):
		return mayNotInvite()
	case role == store.RoleAdmin && !mesh.May(by, store.CanManagePermissions):
		return core.Refuse(sdk.ReasonForbidden,
			"an invite for an admin takes the permission canManagePermissions: ask the owner of the mesh, or invite a member")
	}
	if refused := mayGive(mesh, by, &store.Member{MeshID: mesh.ID, Role: role}, nil); refused != nil {
		return refused
	}
	return nil
}

// MakerStore is where the one who made an invite is looked up.
type MakerStore interface {
	Account(ctx context.Context, id string) (*store.Account, error)
	AccountMember(ctx context.Context, mesh, account string) (*store.Member, error)
	MemberByID(ctx context.Context, id string) (*store.Member, error)
}

// upheld reports whether whoever made an invite could make it now. One that
// outlives its maker's right is as good as revoked: a ban would else leave behind
// what undoes it. The operator's invites hold.
func upheld(ctx context.Context, st MakerStore, mesh *store.Mesh, inv *store.Invite) (bool, error) {
	if inv.CreatedBy == "" {
		return true, nil
	}
	by, err := maker(ctx, st, mesh, inv.CreatedBy)
	if err != nil {
		return false, core.Unavailable(err)
	}
	return mayInviteAs(mesh, by, inv.Role) == nil, nil
}

// maker returns the live member of an account or of itself that an id means in a
// mesh, or what stands for an owner without one; nil when there is none, and where
// the account is disabled.
func maker(ctx context.Context, st MakerStore, mesh *store.Mesh, id string) (*store.Member, error) {
	a, err := st.Account(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return memberMaker(ctx, st, mesh, id)
	}
	if err != nil || !a.Enabled() {
		return nil, err
	}
	m, err := st.AccountMember(ctx, mesh.ID, id)
	switch {
	case err == nil:
		return m, nil
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	case mesh.OwnerAccount == id:
		return ownerOf(mesh), nil
	}
	return nil, nil
}

// memberMaker is maker for a member, whose account, if it has one, may not be
// disabled either.
func memberMaker(ctx context.Context, st MakerStore, mesh *store.Mesh, id string) (*store.Member, error) {
	m, err := st.MemberByID(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case m.MeshID != mesh.ID || !m.Live():
		return nil, nil
	case m.AccountID == "":
		return m, nil
	}
	a, err := st.Account(ctx, m.AccountID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return m, nil // as for one that signs
	case err != nil || !a.Enabled():
		return nil, err
	}
	return m, nil
}

// ownerOf is what stands for an owner by account that has no member in its mesh.
func ownerOf(mesh *store.Mesh) *store.Member {
	return &store.Member{MeshID: mesh.ID, Role: store.RoleAdmin, AccountID: mesh.OwnerAccount}
}

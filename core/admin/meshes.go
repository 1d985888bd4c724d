package admin

import (
	"context"
	"fmt"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/issue"
	"github.com/claudemesh/broker/core/store"
)

// MaxMembers is how many members CreateMesh makes at most. They are written in
// one transaction, and a running broker's own writes wait for it.
const MaxMembers = 100_000

// firstInviteUses is how many may join with the invite that a new mesh comes with.
const firstInviteUses = 100

// CreateMesh implements [Ops].
func (l *Local) CreateMesh(ctx context.Context, name string, o MeshOptions) (*NewMesh, error) {
	if o.Members < 0 || o.Members > MaxMembers {
		return nil, invalid(fmt.Sprintf("a mesh is made with 0 to %d members", MaxMembers))
	}
	if err := l.makeOwner(ctx, o.Owner); err != nil {
		return nil, err
	}
	wanted, secrets := newMembers(o.Members)
	mesh, rows, err := l.issuer.Mesh(ctx, issue.NewMesh{Name: name, OwnerAccount: o.Owner, Members: wanted})
	if err != nil {
		return nil, err
	}
	invite, err := l.issuer.Invite(ctx, mesh, issue.InviteOptions{Uses: firstInviteUses})
	if err != nil {
		return nil, fmt.Errorf("mesh %s was made, its invite was not: %w", mesh.Slug, err)
	}
	made := make([]NewMember, len(rows))
	for i, m := range rows {
		made[i] = NewMember{ID: m.ID, DisplayName: m.DisplayName, Role: string(m.Role), Key: m.Key, SecretKey: secrets[i]}
	}
	return &NewMesh{
		ID: mesh.ID, Slug: mesh.Slug, Name: mesh.Name, Owner: mesh.OwnerKey, Account: mesh.OwnerAccount,
		Invite: invite.Token, Members: made,
	}, l.recordOwner(ctx, mesh, "")
}

// makeOwner sees to it that the account of a mesh's owner is there and may sign
// in; "" is nobody.
func (l *Local) makeOwner(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	if l.tokens == nil { // before there is an account whose mesh cannot be sealed
		return noKey("seal the secrets of a mesh")
	}
	_, _, err := l.accountFor(ctx, id, TokenOptions{})
	return err
}

// newMembers makes the first members of a mesh and their secret keys. The first
// of them is an admin.
func newMembers(n int) (members []issue.NewMember, secrets []string) {
	members, secrets = make([]issue.NewMember, n), make([]string, n)
	for i := range n {
		key, secret := identity.NewKeypair()
		members[i] = issue.NewMember{Key: key, DisplayName: fmt.Sprintf("member-%d", i+1), Role: store.RoleMember}
		secrets[i] = identity.SeedHex(secret)
	}
	if n > 0 {
		members[0].Role = store.RoleAdmin
	}
	return members, secrets
}

// ListMeshes implements [Ops].
func (l *Local) ListMeshes(ctx context.Context) ([]Mesh, error) {
	rows, err := l.store.ListMeshes(ctx)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	list := make([]Mesh, len(rows))
	for i, r := range rows {
		m := r.Mesh
		list[i] = Mesh{
			ID: m.ID, Slug: m.Slug, Name: m.Name, Owner: m.OwnerKey, Members: r.Members, CreatedAt: m.CreatedAt,
		}
	}
	return list, nil
}

package admin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
)

// MaxMembers is how many members CreateMesh makes at most. They are written in
// one transaction, and a running broker's own writes wait for it.
const MaxMembers = 100_000

// The invite that a new mesh comes with.
const (
	firstInviteUses = 100
	firstInviteTTL  = 7 * 24 * time.Hour
)

// slugTries is how many numbers are tried behind a slug that is taken.
const slugTries = 1000

// CreateMesh implements [Ops].
func (l *Local) CreateMesh(ctx context.Context, name string, members int) (*NewMesh, error) {
	name, err := checkName(name)
	if err != nil {
		return nil, err
	}
	if members < 0 || members > MaxMembers {
		return nil, invalid(fmt.Sprintf("a mesh is made with 0 to %d members", MaxMembers))
	}
	mesh, err := l.newMesh(name)
	if err != nil {
		return nil, err
	}
	made, rows := l.newMembers(mesh, members)
	if err := l.storeMesh(ctx, mesh, rows); err != nil {
		return nil, err
	}
	invite, err := l.invite(ctx, mesh, InviteOptions{Uses: firstInviteUses, TTL: firstInviteTTL})
	if err != nil {
		return nil, fmt.Errorf("mesh %s was made, its invite was not: %w", mesh.Slug, err)
	}
	return &NewMesh{
		ID: mesh.ID, Slug: mesh.Slug, Name: mesh.Name, Owner: mesh.OwnerKey, Invite: invite.Token, Members: made,
	}, nil
}

// newMesh makes the row, with fresh secrets that are sealed already.
func (l *Local) newMesh(name string) (*store.Mesh, error) {
	owner, secret := identity.NewKeypair()
	defer clear(secret)
	sealedOwner, err := l.seal(secret.Seed())
	if err != nil {
		return nil, err
	}
	root := make([]byte, rootKeySize)
	rand.Read(root) // never fails: it ends the process instead
	sealedRoot, err := l.seal(root)
	if err != nil {
		return nil, err
	}
	return &store.Mesh{
		ID: identity.NewID(), Slug: slugOf(name), Name: name,
		OwnerKey: owner, OwnerSecret: sealedOwner, RootKey: sealedRoot,
		Policy:    store.Policy{DisplayName: true, RoleTag: true, Groups: true, MessageMode: true},
		CreatedAt: l.now(),
	}, nil
}

// newMembers makes the first members of a mesh. They join a millisecond after
// one another, the last one now, so that lists keep their order.
func (l *Local) newMembers(mesh *store.Mesh, n int) ([]NewMember, []*store.Member) {
	made, rows := make([]NewMember, n), make([]*store.Member, n)
	for i := range n {
		key, secret := identity.NewKeypair()
		role := store.RoleMember
		if i == 0 {
			role = store.RoleAdmin
		}
		m := &store.Member{
			ID: identity.NewID(), MeshID: mesh.ID, Key: key, DisplayName: fmt.Sprintf("member-%d", i+1), Role: role,
			MessageMode: "push", JoinedAt: mesh.CreatedAt.Add(time.Duration(i+1-n) * time.Millisecond),
		}
		rows[i] = m
		made[i] = NewMember{
			ID: m.ID, DisplayName: m.DisplayName, Role: string(m.Role), Key: m.Key, SecretKey: identity.SeedHex(secret),
		}
	}
	return made, rows
}

// storeMesh writes the rows under the first slug that is free.
func (l *Local) storeMesh(ctx context.Context, mesh *store.Mesh, members []*store.Member) error {
	slug := mesh.Slug
	for n := 2; ; n++ {
		err := l.store.CreateMesh(ctx, mesh, members)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, store.ErrConflict):
			return core.Unavailable(err)
		case n > slugTries:
			return core.Refuse("conflict", "too many meshes are called "+slug+": choose another name")
		}
		mesh.Slug = fmt.Sprintf("%s-%d", slug, n)
	}
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

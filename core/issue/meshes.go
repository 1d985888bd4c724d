package issue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
)

// slugTries is how many numbers are tried behind a slug that is taken.
const slugTries = 1000

// NewMesh says what a mesh is made of.
type NewMesh struct {
	Name         string      // up to 128 bytes; space around it is dropped
	Slug         string      // wished for; "" makes one of the name
	OwnerAccount string      // of the person who makes it; "" for the operator
	Members      []NewMember // any number of them, written in one transaction
}

// Mesh makes a mesh with a fresh owner key and a fresh root key, both sealed,
// and its first members, in the order of n. It writes either all of it or
// nothing. A slug that is taken, also by an archived mesh, gets -2, -3 and so on
// behind it.
func (i *Issuer) Mesh(ctx context.Context, n NewMesh) (*store.Mesh, []*store.Member, error) {
	mesh, err := i.mesh(n)
	if err != nil {
		return nil, nil, err
	}
	members := rows(mesh, n.Members)
	if err := i.write(ctx, mesh, members); err != nil {
		return nil, nil, err
	}
	return mesh, members, nil
}

// mesh checks all of n and makes the row, with fresh secrets that are sealed
// already.
func (i *Issuer) mesh(n NewMesh) (*store.Mesh, error) {
	name, err := checkName(n.Name)
	if err != nil {
		return nil, err
	}
	slug := n.Slug
	if slug == "" {
		slug = slugOf(name)
	}
	if err := checkSlug(slug); err != nil {
		return nil, err
	}
	if err := checkMembers(n.Members); err != nil {
		return nil, err
	}
	key, owner := identity.NewKeypair()
	defer clear(owner)
	seed := owner.Seed()
	defer clear(seed)
	id := identity.NewID()
	sealedOwner, err := i.seal(identity.OwnerSecretAtRest, id, seed)
	if err != nil {
		return nil, err
	}
	root := make([]byte, rootKeySize)
	rand.Read(root) // never fails: it ends the process instead
	defer clear(root)
	sealedRoot, err := i.seal(identity.RootKeyAtRest, id, root)
	if err != nil {
		return nil, err
	}
	return &store.Mesh{
		ID: id, Slug: slug, Name: name,
		OwnerKey: key, OwnerSecret: sealedOwner, RootKey: sealedRoot, OwnerAccount: n.OwnerAccount,
		Policy:    store.Policy{DisplayName: true, RoleTag: true, Groups: true, MessageMode: true},
		CreatedAt: i.moment(),
	}, nil
}

// write puts the rows under the first slug that is free. Only the transaction
// decides that; asking first keeps a popular name from costing one for each of
// its numbers, and passes over a slug that is spelt like another mesh's id.
func (i *Issuer) write(ctx context.Context, mesh *store.Mesh, members []*store.Member) error {
	slug := mesh.Slug
	for n := 1; n <= slugTries; n++ {
		if n > 1 {
			mesh.Slug = fmt.Sprintf("%s-%d", slug, n)
		}
		_, err := i.store.FindMesh(ctx, mesh.Slug)
		if errors.Is(err, store.ErrNotFound) {
			if err = i.store.CreateMesh(ctx, mesh, members); err == nil {
				return nil
			}
		}
		if err != nil && !errors.Is(err, store.ErrConflict) {
			return core.Unavailable(err)
		}
	}
	return core.Refuse("conflict", "too many meshes are called "+slug+": choose another name")
}

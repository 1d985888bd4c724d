package issue

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// bindBatch is how many invites are sealed in one transaction.
const bindBatch = 100

// BindStore is what [Issuer.Bind] reads and writes.
type BindStore interface {
	store.Sealing
	ChangeMesh(ctx context.Context, id string, change func(*store.Mesh) error) (*store.Mesh, error)
}

// Bound is what a Bind did.
type Bound struct {
	Meshes  int // whose secrets are bound to them now
	Invites int // whose tokens are sealed now
	Refused []Unbindable
}

// Unbindable is a mesh whose secrets were left as they are. It has no invites
// until its row is mended.
type Unbindable struct {
	Mesh string // id
	Slug string
	Why  string
}

// Bind brings up to date what programs of before wrote: it binds the secrets of
// meshes to their rows, and seals the tokens of invites, which stood in clear.
// It writes a mesh or bindBatch invites at a time, so that it may be ended and
// done again; of several at once, each row is written by one.
//
// Secrets that are bound to nothing can have been put where they are. So they
// have to fit: the owner's secret to the public key, the root key to no other
// mesh and no owner, and neither is bound where the other one was before.
//
// The key must be the store's, see [Issuer.CheckKey]. No broker of before may
// work on the store meanwhile or later: it cannot read what this writes.
func (i *Issuer) Bind(ctx context.Context, st BindStore) (*Bound, error) {
	if i.keys == nil {
		return nil, noKey()
	}
	done := new(Bound)
	if err := i.bindMeshes(ctx, st, done); err != nil {
		return done, unavailable(err)
	}
	if err := i.sealInvites(ctx, st, done); err != nil {
		return done, unavailable(err)
	}
	return done, nil
}

// unavailable is [core.Unavailable] for what has no answer yet.
func unavailable(err error) error {
	if _, ok := errors.AsType[*core.Error](err); ok {
		return err
	}
	return core.Unavailable(err)
}

func (i *Issuer) bindMeshes(ctx context.Context, st BindStore, done *Bound) error {
	meshes, err := st.AllMeshes(ctx)
	if err != nil {
		return err
	}
	var old []*store.Mesh
	for _, m := range meshes {
		if unbound(m.OwnerSecret) || unbound(m.RootKey) {
			old = append(old, m)
		}
	}
	if len(old) == 0 {
		return nil
	}
	known := i.survey(meshes)
	for _, m := range old {
		_, err := st.ChangeMesh(ctx, m.ID, func(row *store.Mesh) error { return i.bind(row, known) })
		switch refused, ok := errors.AsType[*unfit](err); {
		case ok && refused.why != "":
			done.Refused = append(done.Refused, Unbindable{m.ID, m.Slug, refused.why})
		case err == nil:
			done.Meshes++
		case !ok && !errors.Is(err, store.ErrNotFound):
			return err
		}
	}
	return nil
}

// survey is who owns the meshes of a store, and which root keys they have.
type survey struct {
	owners map[sdk.Key]bool
	roots  map[[sha256.Size]byte]int // meshes by the hash of their root key
}

// survey opens the root keys of all meshes. Those that do not open are no
// mesh's.
func (i *Issuer) survey(meshes []*store.Mesh) survey {
	s := survey{make(map[sdk.Key]bool), make(map[[sha256.Size]byte]int)}
	for _, m := range meshes {
		s.owners[m.OwnerKey] = true
		root, err := i.either(identity.RootKeyAtRest, m.ID, m.RootKey)
		if err == nil {
			s.roots[sha256.Sum256(root)]++
		}
		clear(root)
	}
	return s
}

// unfit is why a row is left as it is; "" when there is nothing to do.
type unfit struct{ why string }

func (u *unfit) Error() string { return u.why }

// bind seals a mesh's secrets anew, for their places.
func (i *Issuer) bind(m *store.Mesh, known survey) error {
	switch owner, root := unbound(m.OwnerSecret), unbound(m.RootKey); {
	case !owner && !root:
		return new(unfit) // somebody else has done it
	case owner && identity.IsBound(m.RootKey), root && identity.IsBound(m.OwnerSecret):
		return &unfit{"one of its two secrets was bound to it before, and the other is bound to nothing: the row was changed"}
	}
	if m.OwnerSecret != "" {
		seed, err := i.keys.OpenUnbound(m.OwnerSecret)
		defer clear(seed)
		if err != nil || len(seed) != ed25519.SeedSize || publicKey(seed) != m.OwnerKey {
			return &unfit{"its owner's secret cannot be opened, or does not belong to its public key"}
		}
		m.OwnerSecret = i.keys.SealFor(identity.OwnerSecretAtRest, m.ID, seed)
	}
	if m.RootKey != "" {
		root, err := i.keys.OpenUnbound(m.RootKey)
		defer clear(root)
		switch {
		case err != nil || len(root) != rootKeySize:
			return &unfit{"its root key cannot be opened, or is none"}
		case known.owners[publicKey(root)]:
			return &unfit{"its root key is the secret of an owner: the row was changed"}
		case known.roots[sha256.Sum256(root)] > 1:
			return &unfit{"its root key is that of another mesh too: one of the rows was changed"}
		}
		m.RootKey = i.keys.SealFor(identity.RootKeyAtRest, m.ID, root)
	}
	return nil
}

// publicKey returns the key of a seed.
func publicKey(seed []byte) sdk.Key {
	secret := ed25519.NewKeyFromSeed(seed)
	defer clear(secret)
	return identity.PublicKey(secret)
}

// unbound reports whether a column holds a blob of before.
func unbound(blob string) bool { return blob != "" && !identity.IsBound(blob) }

func (i *Issuer) sealInvites(ctx context.Context, st BindStore, done *Bound) error {
	after := ""
	for {
		list, err := st.PlainInvites(ctx, after, bindBatch)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, inv := range list {
			inv.SealedToken = i.keys.SealFor(identity.InviteAtRest, inv.ID, []byte(inv.PlainToken))
		}
		if err := st.SealInvites(ctx, list); err != nil {
			return err
		}
		done.Invites += len(list)
		after = list[len(list)-1].ID
	}
}

package admin

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
)

// rootKeySize is the length of a mesh's root key in bytes.
const rootKeySize = 32

// seal makes of a secret what may stand in the store.
func (l *Local) seal(secret []byte) (string, error) {
	if l.keys == nil {
		return "", noKey()
	}
	return l.keys.Seal(secret), nil
}

// open returns a mesh's secret of so many bytes. The caller clears it.
func (l *Local) open(m *store.Mesh, what, sealed string, size int) ([]byte, error) {
	if l.keys == nil {
		return nil, noKey()
	}
	if sealed == "" {
		return nil, core.Refuse("no_key", "mesh "+m.Slug+" has no "+what+", so nobody can sign its invites")
	}
	secret, err := l.keys.Open(sealed)
	if err == nil && len(secret) != size {
		err = fmt.Errorf("%w: %d bytes", identity.ErrAtRest, len(secret))
	}
	if err != nil {
		return nil, &core.Error{
			Code: "encryption_key", Err: err,
			Message: "the " + what + " of mesh " + m.Slug + " was sealed with another encryption_key than this one: give the one that the store was made with",
		}
	}
	return secret, nil
}

// sign completes an invite with the mesh's root key and the owner's signature,
// and returns its token. Both secrets are in the clear only meanwhile.
func (l *Local) sign(m *store.Mesh, inv identity.InviteV1) (string, error) {
	root, err := l.open(m, "root key", m.RootKey, rootKeySize)
	if err != nil {
		return "", err
	}
	defer clear(root)
	seed, err := l.open(m, "owner key", m.OwnerSecret, ed25519.SeedSize)
	if err != nil {
		return "", err
	}
	defer clear(seed)
	owner := ed25519.NewKeyFromSeed(seed)
	defer clear(owner)
	if identity.PublicKey(owner) != m.OwnerKey {
		return "", core.Refuse("owner_key", "the owner key of mesh "+m.Slug+" does not belong to its public key: the row was changed")
	}
	inv.MeshRootKey = base64.RawURLEncoding.EncodeToString(root)
	if err := inv.Sign(owner); err != nil {
		return "", err
	}
	return inv.Token()
}

// CheckKey tells whether the secrets of this store can be opened: a broker that
// starts with another key than the store was made with should not go on. It
// tries the oldest mesh that has a secret; a store without one fits every key.
func (l *Local) CheckKey(ctx context.Context) error {
	meshes, err := l.store.ListMeshes(ctx)
	if err != nil {
		return core.Unavailable(err)
	}
	for _, m := range meshes {
		if m.Mesh.RootKey == "" {
			continue
		}
		root, err := l.open(m.Mesh, "root key", m.Mesh.RootKey, rootKeySize)
		clear(root)
		return err
	}
	return nil
}

func noKey() error {
	return &core.Error{
		Code: "encryption_key", Err: errors.New("no key"),
		Message: "encryption_key is needed to seal and to sign: set BROKER_ENCRYPTION_KEY to the 64 hex digits of this store's key",
	}
}

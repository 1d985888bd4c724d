package issue

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// rootKeySize is the length of a mesh's root key in bytes.
const rootKeySize = 32

// SealRootKey returns a mesh's root key for the holder of an x25519 key and for
// nobody else: a sealed box over its 32 bytes, in base64url without padding.
func (i *Issuer) SealRootKey(m *store.Mesh, to identity.SealKey) (string, error) {
	root, err := i.rootKey(m)
	if err != nil {
		return "", err
	}
	defer clear(root)
	sealed, err := identity.SealAnonymous(to, root)
	if errors.Is(err, identity.ErrSealKey) {
		return "", core.Refuse(sdk.ReasonMalformed, "the root key can only be sealed to an x25519 key that keeps a secret")
	}
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// CheckKey tells whether the secrets of this store can be opened: a broker that
// starts with another key than the store was made with should not go on. It
// tries the oldest mesh that has a secret; a store without one fits every key.
func (i *Issuer) CheckKey(ctx context.Context) error {
	meshes, err := i.store.ListMeshes(ctx)
	if err != nil {
		return core.Unavailable(err)
	}
	for _, m := range meshes {
		if m.Mesh.RootKey == "" {
			continue
		}
		root, err := i.rootKey(m.Mesh)
		clear(root)
		return err
	}
	return nil
}

// seal makes of a secret what may stand in the store.
func (i *Issuer) seal(secret []byte) (string, error) {
	if i.keys == nil {
		return "", noKey()
	}
	return i.keys.Seal(secret), nil
}

// rootKey returns a mesh's root key. The caller clears it.
func (i *Issuer) rootKey(m *store.Mesh) ([]byte, error) {
	return i.open(m, "root key", m.RootKey, rootKeySize)
}

// owner returns the secret that signs for a mesh. The caller clears it.
func (i *Issuer) owner(m *store.Mesh) (ed25519.PrivateKey, error) {
	seed, err := i.open(m, "owner key", m.OwnerSecret, ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	defer clear(seed)
	owner := ed25519.NewKeyFromSeed(seed)
	if identity.PublicKey(owner) != m.OwnerKey {
		clear(owner)
		return nil, core.Refuse("owner_key", "the owner key of mesh "+m.Slug+" does not belong to its public key: the row was changed")
	}
	return owner, nil
}

// open returns a mesh's secret of so many bytes. The caller clears it.
func (i *Issuer) open(m *store.Mesh, what, sealed string, size int) ([]byte, error) {
	if i.keys == nil {
		return nil, noKey()
	}
	if sealed == "" {
		return nil, core.Refuse("no_key", "mesh "+m.Slug+" has no "+what+", so it cannot have invites")
	}
	secret, err := i.keys.Open(sealed)
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

func noKey() error {
	return &core.Error{
		Code: "encryption_key", Err: errors.New("no key"),
		Message: "encryption_key is needed to seal and to sign: set BROKER_ENCRYPTION_KEY to the 64 hex digits of this store's key",
	}
}

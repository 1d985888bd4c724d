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
// refuses a key that opens no live mesh, and returns those meshes that this one
// does not open when it opens others: their rows are damaged. A mesh counts as
// opened when all its secrets are, whether they are bound to it or, by a program
// of before, to nothing; a store without secrets fits every key.
func (i *Issuer) CheckKey(ctx context.Context) ([]Unopened, error) {
	meshes, err := i.store.ListMeshes(ctx)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	var damaged []Unopened
	opened := false
	for _, m := range meshes {
		if m.Mesh.RootKey == "" && m.Mesh.OwnerSecret == "" {
			continue
		}
		if i.keys == nil {
			return nil, noKey()
		}
		some, err := i.try(m.Mesh)
		opened = opened || some
		if err != nil {
			damaged = append(damaged, Unopened{m.Mesh.ID, m.Mesh.Slug, err})
		}
	}
	if len(damaged) > 0 && !opened {
		return nil, damaged[0].Err
	}
	return damaged, nil
}

// Unopened is a mesh with a secret that the key does not open. It has no invites
// until its row is mended.
type Unopened struct {
	Mesh string // id
	Slug string
	Err  error // a [core.Error]
}

// try opens the secrets of a mesh, and reports whether any of them opened, also
// with the error of another one.
func (i *Issuer) try(m *store.Mesh) (some bool, err error) {
	for _, s := range []struct {
		purpose    identity.Purpose
		what, blob string
	}{
		{identity.RootKeyAtRest, "root key", m.RootKey},
		{identity.OwnerSecretAtRest, "owner key", m.OwnerSecret},
	} {
		if s.blob == "" {
			continue
		}
		secret, wrong := i.either(s.purpose, m.ID, s.blob)
		clear(secret)
		if wrong == nil {
			some = true
		} else if err == nil {
			err = unopened(s.what, m.Slug, wrong)
		}
	}
	return some, err
}

// seal makes of a secret what may stand in the store, in the row with the id.
func (i *Issuer) seal(p identity.Purpose, id string, secret []byte) (string, error) {
	if i.keys == nil {
		return "", noKey()
	}
	return i.keys.SealFor(p, id, secret), nil
}

// either opens what is bound to its place, or what a program of before bound to
// nothing. The caller hands nothing of it out.
func (i *Issuer) either(p identity.Purpose, id, blob string) ([]byte, error) {
	if identity.IsBound(blob) {
		return i.keys.OpenFor(p, id, blob)
	}
	return i.keys.OpenUnbound(blob)
}

// Token returns the v1 token of an invite, which holds the mesh's root key.
func (i *Issuer) Token(inv *store.Invite) (string, error) {
	switch {
	case inv.PlainToken != "": // not sealed yet
		return inv.PlainToken, nil
	case i.keys == nil:
		return "", noKey()
	}
	token, err := i.keys.OpenFor(identity.InviteAtRest, inv.ID, inv.SealedToken)
	if err != nil {
		return "", &core.Error{
			Code: "encryption_key", Err: err,
			Message: "the token of invite " + inv.ID + " was sealed with another encryption_key than this one, or for another row",
		}
	}
	return string(token), nil
}

// rootKey returns a mesh's root key. The caller clears it.
func (i *Issuer) rootKey(m *store.Mesh) ([]byte, error) {
	return i.open(m, identity.RootKeyAtRest, "root key", m.RootKey, rootKeySize)
}

// owner returns the secret that signs for a mesh. The caller clears it.
func (i *Issuer) owner(m *store.Mesh) (ed25519.PrivateKey, error) {
	seed, err := i.open(m, identity.OwnerSecretAtRest, "owner key", m.OwnerSecret, ed25519.SeedSize)
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
func (i *Issuer) open(m *store.Mesh, p identity.Purpose, what, sealed string, size int) ([]byte, error) {
	if i.keys == nil {
		return nil, noKey()
	}
	if sealed == "" {
		return nil, core.Refuse("no_key", "mesh "+m.Slug+" has no "+what+", so it cannot have invites")
	}
	secret, err := i.keys.OpenFor(p, m.ID, sealed)
	if err == nil && len(secret) != size {
		err = fmt.Errorf("%w: %d bytes", identity.ErrAtRest, len(secret))
	}
	if err != nil {
		return nil, unopened(what, m.Slug, err)
	}
	return secret, nil
}

// unopened words the refusal of a mesh's secret.
func unopened(what, slug string, err error) error {
	why := " was sealed with another encryption_key than this one, or for another place: give the key that the store was made with"
	if errors.Is(err, identity.ErrUnbound) {
		why = " was sealed by an older program and is not bound to the mesh: start this broker again when no older one runs, and see what it logs"
	}
	return &core.Error{Code: "encryption_key", Err: err, Message: "the " + what + " of mesh " + slug + why}
}

func noKey() error {
	return &core.Error{
		Code: "encryption_key", Err: errors.New("no key"),
		Message: "encryption_key is needed to seal and to sign: set BROKER_ENCRYPTION_KEY to the 64 hex digits of this store's key",
	}
}

package feature

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Limits of the vault. With all entries a mesh has some 100 MB, and a member a
// tenth of that.
const (
	secretsPerMesh   = 2000
	secretsPerMember = 200
)

// What a sealed secret has at least: a tag of its own, and a key that was sealed
// to another key behind the half of a pair and a tag.
const (
	sealTagBytes    = 16
	boxNonceBytes   = 24
	wrappedKeyBytes = 32 + sealTagBytes
)

// VaultStore keeps secrets.
type VaultStore interface {
	VaultEntries(ctx context.Context, mesh, member string) ([]*store.VaultEntry, error)
	VaultSecrets(ctx context.Context, mesh, member string, keys []string) ([]*store.VaultEntry, error)
	SetVaultEntry(ctx context.Context, e *store.VaultEntry, room store.Room) error
	DeleteVaultEntry(ctx context.Context, mesh, member, key string) error
}

// Vault keeps secrets for the sessions of one member, which nobody else gets. A
// member may read what is its own whatever it may change.
func Vault(r *Registry, st VaultStore) {
	v := &vault{store: st}
	On(r, v.set).Needs(store.CanManageVault)
	On(r, v.delete).Needs(store.CanManageVault)
	On(r, v.list).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.VaultListResult{Entries: []wire.VaultEntry{}, Error: worded(why, text)}
	})
	On(r, v.get).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.VaultGetResult{Entries: []wire.VaultSecret{}, Error: worded(why, text)}
	})
}

type vault struct{ store VaultStore }

// set writes a secret.
func (v *vault) set(ctx context.Context, c *Call, m *wire.VaultSet) (wire.VaultAck, error) {
	if err := checkSecret(m); err != nil {
		return wire.VaultAck{}, err
	}
	now := time.Now()
	err := v.store.SetVaultEntry(ctx, &store.VaultEntry{
		MeshID: c.Env.Mesh, MemberID: c.Env.Sender.MemberID, Key: m.Key, Ciphertext: m.Ciphertext, Nonce: m.Nonce,
		SealedKey: m.SealedKey, Type: cmp.Or(m.EntryType, "env"), MountPath: m.MountPath, Description: m.Description,
		CreatedAt: now, UpdatedAt: now,
	}, store.Room{Mesh: secretsPerMesh, Member: secretsPerMember})
	if err != nil {
		return wire.VaultAck{}, noRoom(err, "secrets of the vault", "delete some")
	}
	c.Env.Records = append(c.Env.Records, ofSecret("vault_stored", m.Key))
	return wire.VaultAck{Key: m.Key, Action: "stored"}, nil
}

// delete deletes a secret.
func (v *vault) delete(ctx context.Context, c *Call, m *wire.VaultDelete) (wire.VaultAck, error) {
	err := v.store.DeleteVaultEntry(ctx, c.Env.Mesh, c.Env.Sender.MemberID, m.Key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return wire.VaultAck{Key: m.Key, Action: "not_found"}, nil
	case err != nil:
		return wire.VaultAck{}, core.Unavailable(err)
	}
	c.Env.Records = append(c.Env.Records, ofSecret("vault_deleted", m.Key))
	return wire.VaultAck{Key: m.Key, Action: "deleted"}, nil
}

func ofSecret(event, key string) sdk.Record {
	return sdk.Record{Event: event, Payload: audit.Object(audit.String("key", key))}
}

// checkSecret refuses what cannot be a sealed secret.
func checkSecret(m *wire.VaultSet) error {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
	if m.Key == "" || strings.Trim(m.Key, letters) != "" {
		return core.Refuse(sdk.ReasonInvalid, "key: want one or more of A-Z, a-z, 0-9, _, . and -")
	}
	if strings.Contains(m.MountPath, "..") {
		return core.Refuse(sdk.ReasonInvalid, "mount_path: want a path without ..")
	}
	for _, part := range []struct {
		name, text string
		least      int
		exactly    bool
	}{
		{"ciphertext", m.Ciphertext, sealTagBytes, false},
		{"nonce", m.Nonce, boxNonceBytes, true},
		{"sealed_key", m.SealedKey, wrappedKeyBytes, false},
	} {
		size := "at least"
		if part.exactly {
			size = "exactly"
		}
		b, err := base64.StdEncoding.Strict().DecodeString(part.text)
		if err != nil || len(b) < part.least || part.exactly && len(b) != part.least {
			return core.Refuse(sdk.ReasonInvalid, fmt.Sprintf(
				"%s: want base64 of %s %d bytes: seal the secret before you send it", part.name, size, part.least))
		}
	}
	return nil
}

// list says which secrets the member has.
func (v *vault) list(ctx context.Context, c *Call, _ *wire.VaultList) (wire.VaultListResult, error) {
	rows, err := v.store.VaultEntries(ctx, c.Env.Mesh, c.Env.Sender.MemberID)
	if err != nil {
		return wire.VaultListResult{}, core.Unavailable(err)
	}
	result := wire.VaultListResult{Entries: make([]wire.VaultEntry, len(rows))}
	for i, e := range rows {
		result.Entries[i] = wire.VaultEntry{
			Key: e.Key, EntryType: e.Type, MountPath: orNull(e.MountPath), Description: orNull(e.Description), UpdatedAt: e.UpdatedAt,
		}
	}
	return result, nil
}

// get returns secrets.
func (v *vault) get(ctx context.Context, c *Call, m *wire.VaultGet) (wire.VaultGetResult, error) {
	if len(m.Keys) == 0 {
		return wire.VaultGetResult{Entries: []wire.VaultSecret{}}, nil
	}
	rows, err := v.store.VaultSecrets(ctx, c.Env.Mesh, c.Env.Sender.MemberID, m.Keys)
	if err != nil {
		return wire.VaultGetResult{}, core.Unavailable(err)
	}
	rows = rows[:fitting(len(rows), func(row int, add func(...string)) {
		add(rows[row].Ciphertext, rows[row].SealedKey, rows[row].MountPath)
	})]
	result := wire.VaultGetResult{Entries: make([]wire.VaultSecret, len(rows))}
	for i, e := range rows {
		result.Entries[i] = wire.VaultSecret{
			Key: e.Key, Ciphertext: e.Ciphertext, Nonce: e.Nonce, SealedKey: e.SealedKey, EntryType: e.Type,
			MountPath: orNull(e.MountPath),
		}
	}
	return result, nil
}

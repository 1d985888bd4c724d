package store

import (
	"context"
	"time"
)

// VaultEntry is a secret that a member's client has sealed: the store holds
// nothing that opens it.
type VaultEntry struct {
	MeshID      string
	MemberID    string
	Key         string
	Ciphertext  string
	Nonce       string
	SealedKey   string
	Type        string // env or file
	MountPath   string // "" when that was not said
	Description string
	CreatedAt   time.Time // of the first one under this key
	UpdatedAt   time.Time
}

// Vault keeps secrets of members.
type Vault interface {
	// VaultEntries returns all secrets of a member, by key, without what is
	// sealed.
	VaultEntries(ctx context.Context, mesh, member string) ([]*VaultEntry, error)

	// VaultSecrets returns those of the keys that a member has, by key.
	VaultSecrets(ctx context.Context, mesh, member string, keys []string) ([]*VaultEntry, error)

	// SetVaultEntry writes a secret in place of the one before, whose CreatedAt
	// stays. A [*FullError] when there is no room for a new one.
	SetVaultEntry(ctx context.Context, e *VaultEntry, room Room) error

	// DeleteVaultEntry deletes a secret. ErrNotFound.
	DeleteVaultEntry(ctx context.Context, mesh, member, key string) error
}

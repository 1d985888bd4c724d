package store

import (
	"context"
	"slices"
	"time"
)

// KeyCapability is one thing that the holder of an [APIKey] may do. The words are
// the wire's.
type KeyCapability string

// Capabilities of API keys. KeyAdmin has all the others in it.
const (
	KeySend       KeyCapability = "send"
	KeyRead       KeyCapability = "read"
	KeyStateWrite KeyCapability = "state_write"
	KeyAdmin      KeyCapability = "admin"
)

// AllKeyCapabilities returns every capability of API keys.
func AllKeyCapabilities() []KeyCapability {
	return []KeyCapability{KeySend, KeyRead, KeyStateWrite, KeyAdmin}
}

// APIKey lets whoever holds its secret act over HTTP for the member that made it.
// The secret itself is kept nowhere.
type APIKey struct {
	ID           string
	MeshID       string
	MemberID     string // whom it acts for
	Label        string
	Prefix       string   // how the secret begins
	Hash         [32]byte // SHA-256 of the secret
	Capabilities []KeyCapability
	Topics       []string // ids or names of the topics that it is for; nil for all
	CreatedAt    time.Time
	ExpiresAt    time.Time // zero for never
	LastUsedAt   time.Time // zero for never; to the minute
	RevokedAt    time.Time // zero while it is good
}

// Good reports whether the key is neither revoked nor over. That its member is
// still one is for the caller to see.
func (k *APIKey) Good(now time.Time) bool {
	return k.RevokedAt.IsZero() && (k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt))
}

// Can reports whether the key has a capability.
func (k *APIKey) Can(c KeyCapability) bool {
	return slices.Contains(k.Capabilities, c) || slices.Contains(k.Capabilities, KeyAdmin)
}

// Covers reports whether the key is for a topic, given by its id and its name.
func (k *APIKey) Covers(id, name string) bool {
	return len(k.Topics) == 0 || slices.Contains(k.Topics, id) || slices.Contains(k.Topics, name)
}

// APIKeys keeps API keys.
type APIKeys interface {
	// CreateAPIKey writes a key. Only keys that are good when it is created take
	// room; a [*FullError] when there is none. Of the member's keys that are not
	// good any more, the newest kept ones stay. ErrConflict: the hash is taken.
	// ErrNotFound: there is no such live member.
	CreateAPIKey(ctx context.Context, k *APIKey, room Room, kept int) error

	// APIKeyByHash returns a key, also one that is revoked or over. ErrNotFound.
	APIKeyByHash(ctx context.Context, hash [32]byte) (*APIKey, error)

	// ListAPIKeys returns the newest keys of a member, or of all members with "",
	// so many at most, the newest first; revoked ones too.
	ListAPIKeys(ctx context.Context, mesh, memberID string, limit int) ([]*APIKey, error)

	// FindAPIKeys returns the keys of a member, or of all members with "", whose
	// id begins with exactly this text, so many at most.
	FindAPIKeys(ctx context.Context, mesh, memberID, idPrefix string, limit int) ([]*APIKey, error)

	// RevokeAPIKey ends a key for good. A key that is revoked stays as it is.
	// ErrNotFound.
	RevokeAPIKey(ctx context.Context, mesh, id string, at time.Time) error

	// TouchAPIKey says that a key was used. It does not wait for the disk. A key
	// that is not there is no error, nor one that was used later.
	TouchAPIKey(ctx context.Context, id string, at time.Time) error
}

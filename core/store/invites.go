package store

import (
	"context"
	"time"
)

// Invite lets a stranger enrol a key in a mesh.
type Invite struct {
	ID     string
	MeshID string
	Code   string // short code; "" when none

	// The v1 token holds the mesh's root key, so that no row says it. Invites are
	// found by its hash; SealedToken is the token, sealed with the operator's key
	// for this row.
	TokenHash   [32]byte // see [HashInvite]
	SealedToken string

	// PlainToken is the token itself, in a row that a program of before wrote and
	// that was not sealed yet, see [Sealing]; else "". It is never written.
	PlainToken string

	// Capability is what the owner signed of the row, see identity.InviteV2; ""
	// for an invite that cannot be claimed by its code.
	Capability string
	CreatedBy  string // member or account that made it; "" for the operator

	MaxUses   int
	UsedCount int
	Role      Role
	Preset    Preset
	ExpiresAt time.Time
	CreatedAt time.Time
	RevokedAt time.Time // zero while the invite holds
}

// Preset is what an invite decides about the member that uses it. Zero fields
// leave the choice to the member.
type Preset struct {
	DisplayName string  `json:"displayName,omitempty"`
	RoleTag     string  `json:"roleTag,omitempty"`
	Groups      []Group `json:"groups,omitempty"`
	MessageMode string  `json:"messageMode,omitempty"`
}

// Invites keeps invites.
type Invites interface {
	// CreateInvite writes an invite. ErrConflict: the token or code is taken.
	CreateInvite(ctx context.Context, inv *Invite) error

	// InviteByToken returns the invite with exactly this token. ErrNotFound. The
	// engine looks for its hash, and among the rows that have the token itself.
	InviteByToken(ctx context.Context, token string) (*Invite, error)

	// InviteByCode returns the invite with this short code. ErrNotFound.
	InviteByCode(ctx context.Context, code string) (*Invite, error)

	// RedeemInvite spends one use and enrols the member, in one transaction:
	// either both happened or neither. ErrConflict: the key is enrolled
	// already. ErrExhausted: no use is left, or the invite was revoked.
	RedeemInvite(ctx context.Context, inviteID string, m *Member) error

	// ListInvites returns the newest invites of a mesh, so many at most, the
	// newest first, also those that no longer hold.
	ListInvites(ctx context.Context, mesh string, limit int) ([]*Invite, error)

	// RevokeInvite withdraws an invite of a mesh for good. ErrNotFound: the mesh
	// has none with this id, or it was revoked before.
	RevokeInvite(ctx context.Context, mesh, id string, at time.Time) error

	// PruneInvites deletes the invites that were over before a time: expired,
	// revoked, or used up with the last use before it. It returns how many.
	PruneInvites(ctx context.Context, before time.Time) (int64, error)
}

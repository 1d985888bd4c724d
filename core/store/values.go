package store

import (
	"context"
	"time"
)

// Value is one entry of the state that a mesh shares.
type Value struct {
	MeshID   string
	Key      string
	MemberID string // who set it; "" when that is not known
	Author   string // its name at that time
	At       time.Time
	JSON     []byte // comes back byte by byte as it was written
}

// Values keeps the state that meshes share.
type Values interface {
	// Value returns one value. ErrNotFound.
	Value(ctx context.Context, mesh, key string) (*Value, error)

	// ListValues returns at most limit values of a mesh, by key, those with a
	// greater key than after.
	ListValues(ctx context.Context, mesh, after string, limit int) ([]*Value, error)

	// ValueKeys returns all values of a mesh, by key, without their JSON.
	ValueKeys(ctx context.Context, mesh string) ([]*Value, error)

	// SetValue writes a value in place of one that the member over has set, or,
	// where over is nil, as a new one. ErrConflict, and nothing is written, when
	// that is not what is there; a [*FullError] when there is no room for a new
	// one. sig is appended in the same transaction; nil for none.
	SetValue(ctx context.Context, v *Value, over *string, room Room, sig *Signal) error

	// DeleteValue deletes a value that the member over has set, in the same way.
	DeleteValue(ctx context.Context, mesh, key, over string, sig *Signal) error
}

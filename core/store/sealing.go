package store

import "context"

// Sealing is for bringing rows up to date that programs of before wrote: what
// they sealed was bound to no row, and tokens of invites stood in clear.
type Sealing interface {
	// AllMeshes returns every mesh, archived ones too, oldest first.
	AllMeshes(ctx context.Context) ([]*Mesh, error)

	// PlainInvites returns those invites whose token stands in clear, ordered by
	// id, behind the one with the id after, and so many at most.
	PlainInvites(ctx context.Context, after string, limit int) ([]*Invite, error)

	// SealInvites replaces the PlainToken of each invite by its hash and
	// SealedToken, all in one transaction. Rows that have no such token any more
	// stay as they are. The engine leaves as little of what was there in its
	// files as it can.
	SealInvites(ctx context.Context, list []*Invite) error
}

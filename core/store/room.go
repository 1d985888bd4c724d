package store

import "fmt"

// Room is how many rows of a kind a mesh may have, and one of its members. Own are
// those that each member may have even if the mesh's room is taken by others.
type Room struct{ Mesh, Member, Own int }

// FullError is an [ErrExhausted] that says whose room is full.
type FullError struct {
	Member bool // the member's; else the mesh's
	Most   int
}

// Error implements error.
func (e *FullError) Error() string {
	of := "mesh"
	if e.Member {
		of = "member"
	}
	return fmt.Sprintf("no room is left: the %s has %d", of, e.Most)
}

// Unwrap returns ErrExhausted.
func (e *FullError) Unwrap() error { return ErrExhausted }

// Fits returns a [*FullError] when one more does not fit beside those that are
// there.
func (r Room) Fits(mesh, member int) error {
	switch {
	case mesh >= r.Mesh && member >= r.Own:
		return &FullError{Most: r.Mesh}
	case member >= r.Member:
		return &FullError{Member: true, Most: r.Member}
	}
	return nil
}

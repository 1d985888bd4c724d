package store

import (
	"context"
	"time"
)

// Stream is a name under which sessions publish to those that subscribe.
type Stream struct {
	ID        string
	MeshID    string
	Name      string
	MemberID  string // who created it; "" when that is not known
	Author    string // its name at that time
	CreatedAt time.Time
}

// Streams keeps the names of streams. What is published is never stored.
type Streams interface {
	// CreateStream writes a stream, unless the mesh has one of that name, and
	// returns the id of the one that is there. A [*FullError] when there is no
	// room for a new one.
	CreateStream(ctx context.Context, st *Stream, room Room) (id string, fresh bool, err error)

	// ListStreams returns the oldest streams of a mesh, so many at most.
	ListStreams(ctx context.Context, mesh string, limit int) ([]*Stream, error)
}

package store

import (
	"context"
	"time"
)

// Context is what a member says it knows: one in each mesh, for all its sessions.
type Context struct {
	ID          string
	MeshID      string
	MemberID    string
	Name        string // of the member at that time
	Summary     string
	FilesRead   []string
	KeyFindings []string
	Tags        []string
	UpdatedAt   time.Time
}

// Contexts keeps contexts.
type Contexts interface {
	// ShareContext writes a member's context in place of the one before, if there
	// is one, and returns its id, which is that of the first. With it goes sig, for
	// engines that tell other nodes; nil is none.
	ShareContext(ctx context.Context, c *Context, sig *Signal) (id string, err error)

	// FindContexts returns at most limit contexts of a mesh, the newest first,
	// that have the query in their summary, in any case, or exactly as a tag,
	// without those of the members except.
	FindContexts(ctx context.Context, mesh, query string, except []string, limit int) ([]*Context, error)

	// ListContexts returns the newest contexts of a mesh, so many at most, the
	// newest first, without those of the members except. FilesRead and KeyFindings
	// are left out.
	ListContexts(ctx context.Context, mesh string, except []string, limit int) ([]*Context, error)
}

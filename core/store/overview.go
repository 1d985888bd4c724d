package store

import (
	"context"
	"time"

	"github.com/claudemesh/broker/core/audit"
)

// Overview answers what an operator's page asks again and again of all meshes at
// once: one query each, whatever the number of meshes.
type Overview interface {
	// QueueByMesh returns what waits, by mesh, for the limit meshes with most,
	// those with the most first. Meshes in which nothing waits are left out. It
	// walks all that waits, as QueueDepth does.
	QueueByMesh(ctx context.Context, limit int) ([]MeshQueue, error)

	// AuditEnds returns where the chains of these meshes end, by mesh. A mesh
	// whose chain was never begun is left out.
	AuditEnds(ctx context.Context, meshes []string) ([]AuditEnd, error)

	// Totals returns how much all meshes together keep. It reads all files, and
	// an index of all histories, so it is for every few minutes.
	Totals(ctx context.Context) (Totals, error)
}

// Totals are what meshes keep beside messages that wait and their audit logs.
type Totals struct {
	Files         int64 // those that are being uploaded too
	FileBytes     int64 // with all that uploads under way will have
	TopicMessages int64 // in the histories of topics
}

// MeshQueue is what waits in one mesh.
type MeshQueue struct {
	MeshID  string
	Waiting int64     // deliveries, those that are held back included
	Held    int64     // of these, held back
	Oldest  time.Time // when the oldest of them was accepted
}

// AuditEnd is the recorded end of a chain.
type AuditEnd struct {
	audit.Head
	At time.Time // of the entry that the head names; zero when the log has no such row
}

package feature

import (
	"context"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/store"
)

// Roster knows who belongs to a mesh. Its rows are shared and never changed.
type Roster interface {
	Mesh(ctx context.Context, id string) (*store.Mesh, error)
	MemberByID(ctx context.Context, id string) (*store.Member, error)
}

// asker is the member that a request comes from, with its mesh.
type asker struct {
	*store.Member
	mesh *store.Mesh
}

// whoAsks looks up the rows behind a request. They are read anew each time: who
// is no admin any more, or was revoked, loses its rights at once and not when
// its session ends.
func whoAsks(ctx context.Context, r Roster, c *Call) (asker, error) {
	member, err := r.MemberByID(ctx, c.Env.Sender.MemberID)
	if err != nil {
		return asker{}, core.Unavailable(err)
	}
	mesh, err := r.Mesh(ctx, c.Env.Mesh)
	if err != nil {
		return asker{}, core.Unavailable(err)
	}
	return asker{member, mesh}, nil
}

// owner reports whether the member owns the mesh, by its key or its account.
func (a asker) owner() bool { return a.mesh.OwnedBy(a.Member) }

// admin reports whether the member may see and do what concerns others.
func (a asker) admin() bool {
	return a.Live() && (a.owner() || a.Role == store.RoleAdmin)
}

package feature

import (
	"context"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Groups lets sessions join the groups that "@name" reaches, and leave them.
// Anybody may join any group, unless the mesh's policy says that groups are not the
// members' own: then its members are in those that its admins gave them.
func Groups(r *Registry, dir *presence.Directory, who Roster) {
	g := &groups{dir: dir, roster: who}
	On(r, g.join)
	On(r, g.leave)
}

type groups struct {
	dir    *presence.Directory
	roster Roster
}

// choosesGroups reports whether the groups of the member's sessions are its own to
// say.
func (a asker) choosesGroups() bool { return a.mesh.Policy.Groups || a.admin() }

// mayChange refuses members whose groups are given.
func (g *groups) mayChange(ctx context.Context, c *Call) error {
	by, err := whoAsks(ctx, g.roster, c)
	if err == nil && !by.choosesGroups() {
		err = core.Refuse(sdk.ReasonForbidden, "in this mesh groups are given by its owner and its admins: ask one of them")
	}
	return err
}

func (g *groups) join(ctx context.Context, c *Call, m *wire.JoinGroup) (Silent, error) {
	if err := g.mayChange(ctx, c); err != nil {
		return Silent{}, err
	}
	if err := g.dir.JoinGroup(c.Session, store.Group{Name: m.Name, Role: m.Role}); err != nil {
		return Silent{}, core.Refuse(sdk.ReasonInvalid, err.Error())
	}
	return Silent{}, nil
}

func (g *groups) leave(ctx context.Context, c *Call, m *wire.LeaveGroup) (Silent, error) {
	if err := g.mayChange(ctx, c); err != nil {
		return Silent{}, err
	}
	g.dir.LeaveGroup(c.Session, m.Name)
	return Silent{}, nil
}

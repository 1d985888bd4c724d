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
// Anybody may join any group.
func Groups(r *Registry, dir *presence.Directory) {
	g := &groups{dir: dir}
	On(r, g.join)
	On(r, g.leave)
}

type groups struct{ dir *presence.Directory }

func (g *groups) join(_ context.Context, c *Call, m *wire.JoinGroup) (Silent, error) {
	if err := g.dir.JoinGroup(c.Session, store.Group{Name: m.Name, Role: m.Role}); err != nil {
		return Silent{}, core.Refuse(sdk.ReasonInvalid, err.Error())
	}
	return Silent{}, nil
}

func (g *groups) leave(_ context.Context, c *Call, m *wire.LeaveGroup) (Silent, error) {
	g.dir.LeaveGroup(c.Session, m.Name)
	return Silent{}, nil
}

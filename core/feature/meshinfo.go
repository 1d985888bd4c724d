package feature

import (
	"context"
	"slices"

	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/wire"
)

// Inform adds what a feature keeps to the answers to mesh_info: f fills in the
// fields that are its own. Clients show every part, so that what nobody fills in
// is there, and empty.
func (r *Registry) Inform(f func(context.Context, *Call, *wire.MeshInfoResult) error) {
	r.informers = append(r.informers, f)
}

// MeshInfo gives sessions an overview of their mesh.
func MeshInfo(r *Registry, dir *presence.Directory) {
	o := &overview{registry: r, dir: dir}
	On(r, o.info)
}

type overview struct {
	registry *Registry
	dir      *presence.Directory
}

// info answers with what is known here and what each feature adds.
func (o *overview) info(ctx context.Context, c *Call, _ *wire.MeshInfo) (wire.MeshInfoResult, error) {
	views := shown(o.dir.Views(c.Env.Mesh), c.Env.Sender.Member)
	me := o.dir.View(c.Session)
	info := wire.MeshInfoResult{
		Mesh: c.Env.Mesh, Peers: int64(len(views)), Groups: atGroups(views),
		StateKeys: []string{}, Streams: []string{}, Tables: []string{}, Collections: []string{},
		YourName: me.Name, YourGroups: wireGroups(me.Groups),
	}
	for _, add := range o.registry.informers {
		if err := add(ctx, c, &info); err != nil {
			return wire.MeshInfoResult{}, err
		}
	}
	return info, nil
}

// atGroups returns the groups that any of the sessions is in, each once and
// with a leading @, in alphabetical order.
func atGroups(views []presence.View) []string {
	names := []string{}
	for i := range views {
		for _, g := range views[i].Groups {
			names = append(names, "@"+g.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

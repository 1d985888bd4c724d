package api

import (
	"context"
	"errors"
	"slices"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

const textNoCaller = "caller not a member of this mesh"

// isAdmin reports whether a member may change what concerns others.
func isAdmin(mesh *store.Mesh, m *store.Member) bool {
	return m.Role == store.RoleAdmin || mesh.OwnedBy(m)
}

// meshPlace is place in the words of the /mesh routes.
func meshPlace(c *feature.Call) (*store.Mesh, *store.Member, error) {
	by := manager(c)
	switch {
	case c.HTTP.Mesh == nil:
		return nil, nil, core.Refuse(sdk.ReasonUnknownMesh, "mesh not found")
	case by == nil:
		return nil, nil, core.Refuse(sdk.ReasonForbidden, textNoCaller)
	}
	return c.HTTP.Mesh, by, nil
}

// acting returns who makes a change of a row, as its own row is in the transaction
// of [store.Members].ChangeRole; nil when it is no live member any more. before is
// a copy of the row as it was: what a change gives is not there yet.
func acting(by, before *store.Member, others []*store.Member) *store.Member {
	switch {
	case by.ID == "": // an owner without a member
		return by
	case by.ID == before.ID && before.Live():
		return before
	}
	if i := slices.IndexFunc(others, func(m *store.Member) bool { return m.ID == by.ID }); i >= 0 {
		return others[i]
	}
	return nil
}

// samePerson reports whether two members of a mesh are one, or of one account.
func samePerson(a, b *store.Member) bool {
	return a.ID == b.ID || a.AccountID != "" && a.AccountID == b.AccountID
}

// memberOf returns the live member of a mesh that has an id. A member of another
// mesh is as good as none.
func memberOf(ctx context.Context, st store.Members, mesh *store.Mesh, id, notFound string) (*store.Member, *core.Error) {
	m, err := st.MemberByID(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && (m.MeshID != mesh.ID || !m.Live()):
		return nil, core.Refuse(sdk.ReasonNotFound, notFound)
	case err != nil:
		return nil, core.Unavailable(err)
	}
	return m, nil
}

// changeMember edits a row, and has every node forget the old one, even if that
// failed: nobody knows then what is on disk. change may run more than once.
func changeMember(ctx context.Context, st store.Members, nodes Nodes, id string, change func(*store.Member) *core.Error) (*store.Member, error) {
	var refused *core.Error
	m, err := st.ChangeMember(ctx, id, func(row *store.Member) error {
		if refused = change(row); refused != nil {
			return refused
		}
		return nil
	})
	return changed(nodes, id, m, refused, err)
}

// changeRole is changeMember for a change that depends on the mesh's other live
// members, of which none gets another role meanwhile.
func changeRole(ctx context.Context, st store.Members, nodes Nodes, id string, change func(row *store.Member, others []*store.Member) *core.Error) (*store.Member, error) {
	var refused *core.Error
	m, err := st.ChangeRole(ctx, id, func(row *store.Member, others []*store.Member) error {
		if refused = change(row, others); refused != nil {
			return refused
		}
		return nil
	})
	return changed(nodes, id, m, refused, err)
}

// changed is the end of a change, whatever became of it.
func changed(nodes Nodes, id string, m *store.Member, refused *core.Error, err error) (*store.Member, error) {
	if refused != nil {
		return nil, refused
	}
	nodes.Forget(id) // also where nobody knows whether it was written
	if err != nil {
		return nil, core.Unavailable(err)
	}
	return m, nil
}

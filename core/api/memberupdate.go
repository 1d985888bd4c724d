package api

import (
	"context"
	"slices"
	"strings"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// UpdateMember is the body of PATCH /mesh/{id}/member/{memberId}. What is not
// there stays.
type UpdateMember struct {
	Mesh        string             `path:"id" json:"-" doc:"id or slug of the mesh"`
	Member      string             `path:"memberId" json:"-" doc:"id of the member to change"`
	DisplayName *string            `json:"displayName,omitzero" max:"256" doc:"name shown to others. Sessions that go by the old one are renamed"`
	RoleTag     wire.Patch[string] `json:"roleTag,omitzero" max:"256" doc:"free text that describes the member's part; null or an empty text clears it"`
	Groups      []wire.Group       `json:"groups,omitzero" max:"64" doc:"groups that its next sessions begin with, when their hello names none"`
	MessageMode *string            `json:"messageMode,omitzero" enum:"push,inbox,off" doc:"how its clients show messages"`
	Permission  *string            `json:"permission,omitzero" enum:"admin,member" doc:"its role. For admins who manage permissions; never of the owner, nor of the last admin"`
}

// MeshName implements [feature.MeshNamer].
func (m *UpdateMember) MeshName() string { return m.Mesh }

// UpdatedMember answers an [UpdateMember].
type UpdatedMember struct {
	OK      bool                `json:"ok" doc:"true"`
	Member  MemberRow           `json:"member" doc:"the member as it is now"`
	Changes wire.ProfileChanges `json:"changes" doc:"the fields of its profile that were set, which its role is none of"`
}

const textNoMember = "member not found after update" // the original's words

type members struct {
	store store.Members
	nodes Nodes
	dir   *presence.Directory
}

// update changes a member's row, and tells its sessions on every node.
func (h *members) update(ctx context.Context, c *feature.Call, m *UpdateMember) (*UpdatedMember, error) {
	mesh, by, err := meshPlace(c)
	if err != nil {
		return nil, err
	}
	target, refused := memberOf(ctx, h.store, mesh, m.Member, textNoMember)
	if refused != nil && (isAdmin(mesh, by) || refused.Code != sdk.ReasonNotFound) {
		return nil, refused // others are not told who is a member
	}
	if refused := m.allowed(mesh, by, target); refused != nil {
		return nil, refused
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	before, after, err := h.change(ctx, mesh, by, target, m)
	if err != nil {
		return nil, err
	}
	changes := m.changes()
	c.Env.Records = append(c.Env.Records, updated(before, after, m)...)
	if before.DisplayName != after.DisplayName {
		h.nodes.Rename(mesh.ID, after.ID, before.DisplayName, after.DisplayName)
	}
	h.nodes.Tell(mesh.ID, after.ID, feature.EventFrame(mesh.ID, wire.EventProfileUpdated, changes, c.Env.Arrived))
	views := viewsByMember(h.dir.Views(mesh.ID))
	return &UpdatedMember{OK: true, Member: memberRow(mesh, by, after, views[after.ID]), Changes: changes}, nil
}

// change writes the row, and returns it as it was and as it is.
func (h *members) change(ctx context.Context, mesh *store.Mesh, by, target *store.Member, m *UpdateMember) (before, after *store.Member, err error) {
	if m.Permission != nil {
		after, err = changeRole(ctx, h.store, h.nodes, target.ID, func(row *store.Member, others []*store.Member) *core.Error {
			before = m.edit(row)
			now := acting(by, before, others)
			if now == nil {
				return core.Refuse(sdk.ReasonForbidden, textNoCaller)
			}
			if refused := m.allowed(mesh, now, before); refused != nil {
				return refused
			}
			if refused := keepsAnAdmin(mesh, before, row, others); refused != nil {
				return refused
			}
			return roleMayChange(mesh, now, before, row)
		})
		return before, after, err
	}
	after, err = changeMember(ctx, h.store, h.nodes, target.ID, func(row *store.Member) *core.Error {
		before = m.edit(row)
		return roleMayChange(mesh, by, before, row)
	})
	return before, after, err
}

// edit writes what is there into a row, and returns the row as it was.
func (m *UpdateMember) edit(row *store.Member) (before *store.Member) {
	old := *row
	m.apply(row)
	return &old
}

// allowed reports why a member may not make these changes; nil when it may, as
// far as that can be said before the row is read for changing it. target is nil
// where there is none.
func (m *UpdateMember) allowed(mesh *store.Mesh, by, target *store.Member) *core.Error {
	admin := isAdmin(mesh, by)
	if !admin && (target == nil || !samePerson(by, target)) {
		return core.Refuse(sdk.ReasonForbidden, "not authorized — only admins or self can edit")
	}
	var fields, managed []string
	for _, f := range []struct {
		name  string
		given bool
		free  bool
	}{
		{"displayName", m.DisplayName != nil, mesh.Policy.DisplayName},
		{"roleTag", m.RoleTag.Given, mesh.Policy.RoleTag},
		{"groups", m.Groups != nil, mesh.Policy.Groups},
		{"messageMode", m.MessageMode != nil, mesh.Policy.MessageMode},
		{"permission", m.Permission != nil, false},
	} {
		if f.given {
			fields = append(fields, f.name)
			if !admin && !f.free {
				managed = append(managed, f.name)
			}
		}
	}
	switch {
	case len(managed) > 0:
		return core.Refuse(sdk.ReasonForbidden, "admin-managed fields: "+strings.Join(managed, ", "))
	case len(fields) == 0:
		return core.Refuse(sdk.ReasonInvalid, "no fields to update")
	case m.Permission != nil && !mesh.May(by, store.CanManagePermissions):
		return core.Refuse(sdk.ReasonForbidden, textMayNotManage)
	}
	return nil
}

// check refuses values that no member should have; lengths are checked before.
func (m *UpdateMember) check() error {
	if m.DisplayName != nil {
		*m.DisplayName = strings.TrimSpace(*m.DisplayName)
		if *m.DisplayName == "" || !plain(*m.DisplayName) {
			return core.Refuse(sdk.ReasonInvalid, "displayName: want a name of 1 to 256 bytes without control characters")
		}
	}
	if v := m.RoleTag.Value; v != nil && !plain(*v) {
		return core.Refuse(sdk.ReasonInvalid, "roleTag: want a text without control characters")
	}
	if m.MessageMode != nil && *m.MessageMode == "" {
		return core.Refuse(sdk.ReasonInvalid, `messageMode: want "push", "inbox" or "off"`)
	}
	if m.Permission != nil && *m.Permission == "" {
		return core.Refuse(sdk.ReasonInvalid, `permission: want "admin" or "member"`)
	}
	for i, g := range m.Groups {
		if slices.ContainsFunc(m.Groups[:i], func(x wire.Group) bool { return x.Name == g.Name }) {
			return core.Refuse(sdk.ReasonInvalid, "groups: a group comes twice; name each once")
		}
	}
	return nil
}

// apply writes what is there into a row.
func (m *UpdateMember) apply(row *store.Member) {
	if m.DisplayName != nil {
		row.DisplayName = *m.DisplayName
	}
	if m.RoleTag.Given {
		row.RoleTag = ""
		if m.RoleTag.Value != nil {
			row.RoleTag = *m.RoleTag.Value
		}
	}
	if m.Groups != nil {
		row.DefaultGroups = make([]store.Group, len(m.Groups))
		for i, g := range m.Groups {
			row.DefaultGroups[i] = store.Group(g)
		}
	}
	if m.MessageMode != nil {
		row.MessageMode = *m.MessageMode
	}
	if m.Permission != nil {
		row.Role = store.Role(*m.Permission)
	}
}

// changes are the fields of the profile that a request sets.
func (m *UpdateMember) changes() wire.ProfileChanges {
	changes := wire.ProfileChanges{RoleTag: m.RoleTag, Groups: m.Groups}
	if m.DisplayName != nil {
		changes.DisplayName = *m.DisplayName
	}
	if m.MessageMode != nil {
		changes.MessageMode = *m.MessageMode
	}
	return changes
}

// updated returns the audit records of a change. Roles are told apart from the
// rest, and only when they did change.
func updated(before, after *store.Member, m *UpdateMember) []sdk.Record {
	who := func(more ...audit.Field) []byte {
		return audit.Object(append(more, audit.String("member", after.ID), audit.String("pubkey", after.Key.String()))...)
	}
	var records []sdk.Record
	var fields []audit.Field
	if m.DisplayName != nil {
		fields = append(fields, audit.String("displayName", after.DisplayName))
	}
	if m.RoleTag.Given {
		fields = append(fields, audit.String("roleTag", after.RoleTag))
	}
	if m.Groups != nil {
		names := make([]string, len(m.Groups))
		for i, g := range m.Groups {
			names[i] = g.Name
		}
		fields = append(fields, audit.Strings("groups", names))
	}
	if m.MessageMode != nil {
		fields = append(fields, audit.String("messageMode", after.MessageMode))
	}
	if len(fields) > 0 {
		records = append(records, sdk.Record{Event: "member_updated", Payload: who(fields...)})
	}
	if before.Role != after.Role {
		records = append(records, sdk.Record{Event: "permission_changed", Payload: who(audit.String("role", string(after.Role)))})
	}
	return records
}

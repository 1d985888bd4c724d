package api

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// ListMembers is GET /mesh/{id}/members.
type ListMembers struct {
	Mesh string `path:"id" json:"-" doc:"id or slug of the mesh"`
}

// MeshName implements [feature.MeshNamer].
func (r *ListMembers) MeshName() string { return r.Mesh }

// MemberList answers a [ListMembers].
type MemberList struct {
	OK      bool        `json:"ok" doc:"true"`
	Members []MemberRow `json:"members" doc:"the live members, in the order in which they joined"`
}

// MemberRow is a member as another one sees it.
type MemberRow struct {
	ID          string       `json:"id" doc:"the member's id"`
	DisplayName string       `json:"displayName" doc:"its name"`
	RoleTag     *string      `json:"roleTag" doc:"free text that describes its part; null when unset"`
	Groups      []wire.Group `json:"groups" doc:"groups that its sessions begin with, possibly none"`
	MessageMode string       `json:"messageMode" doc:"push, inbox or off; only clients heed it"`
	Permission  string       `json:"permission" doc:"its role: admin or member"`
	AccountID   *string      `json:"dashboardUserId" doc:"the account behind it. Null when unknown, and for others than the owner, admins and the account itself"`
	JoinedAt    string       `json:"joinedAt" doc:"when it joined"`
	LastSeenAt  string       `json:"lastSeenAt,omitempty" doc:"when one of its sessions last sent anything; absent when none is here"`
	Online      bool         `json:"online" doc:"one of its sessions is connected, to any node"`
	Sessions    int          `json:"sessionCount" doc:"how many are connected. Hidden ones do not count for other members"`
}

// Members adds the routes about the members of a mesh.
func Members(t *Table, d Deps) {
	m := &members{store: d.Store, nodes: d.Nodes, dir: d.Directory}
	On(t, Route{
		Method: http.MethodGet, Path: "/mesh/{id}/members", Kind: "http.members.list", Group: "Members",
		Summary: "lists the members of a mesh to one of them", Access: feature.AnyCaller, Body: BodyNone,
		Refusals: []sdk.Reason{sdk.ReasonUnknownMesh, sdk.ReasonForbidden},
	}, m.list)
	On(t, Route{
		Method: http.MethodPatch, Path: "/mesh/{id}/member/{memberId}", Kind: "http.member.update", Group: "Members",
		Summary: "changes the profile of a member, its own or, for admins, any", Access: feature.AnyCaller,
		Refusals: []sdk.Reason{sdk.ReasonUnknownMesh, sdk.ReasonForbidden, sdk.ReasonInvalid, sdk.ReasonNotFound},
	}, m.update)
}

func (h *members) list(ctx context.Context, c *feature.Call, _ *ListMembers) (*MemberList, error) {
	mesh, by, err := meshPlace(c)
	if err != nil {
		return nil, err
	}
	rows, err := h.store.ListMembers(ctx, mesh.ID)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	views := viewsByMember(h.dir.Views(mesh.ID))
	list := &MemberList{OK: true, Members: []MemberRow{}}
	for _, m := range rows {
		if m.Live() {
			list.Members = append(list.Members, memberRow(mesh, by, m, views[m.ID]))
		}
	}
	return list, nil
}

func viewsByMember(views []presence.View) map[string][]presence.View {
	by := map[string][]presence.View{}
	for i := range views {
		id := views[i].MemberID
		by[id] = append(by[id], views[i])
	}
	return by
}

// memberRow shows a member to another one.
func memberRow(mesh *store.Mesh, to, m *store.Member, sessions []presence.View) MemberRow {
	row := MemberRow{
		ID: m.ID, DisplayName: m.DisplayName, Groups: make([]wire.Group, len(m.DefaultGroups)),
		MessageMode: cmp.Or(m.MessageMode, "push"), Permission: string(m.Role), JoinedAt: stamp(m.JoinedAt),
	}
	for i, g := range m.DefaultGroups {
		row.Groups[i] = wire.Group(g)
	}
	if m.RoleTag != "" {
		row.RoleTag = &m.RoleTag
	}
	own := samePerson(to, m)
	if m.AccountID != "" && (own || isAdmin(mesh, to)) {
		row.AccountID = &m.AccountID
	}
	var seen time.Time
	for i := range sessions {
		v := &sessions[i]
		if !v.Visible && !own {
			continue
		}
		if v.Online {
			row.Online = true
			row.Sessions++
		}
		if v.LastSeen.After(seen) {
			seen = v.LastSeen
		}
	}
	if !seen.IsZero() {
		row.LastSeenAt = stamp(seen)
	}
	return row
}

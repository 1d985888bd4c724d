package api

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/nearest"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// GetPermissions is GET /cli/mesh/{slug}/permissions.
type GetPermissions struct {
	Mesh string `path:"slug" json:"-" doc:"slug or id of the mesh"`
}

// MeshName implements [feature.MeshNamer].
func (r *GetPermissions) MeshName() string { return r.Mesh }

// PermissionList answers a [GetPermissions].
type PermissionList struct {
	Mesh    string           `json:"mesh" doc:"slug of the mesh"`
	Members []MayDoInTheMesh `json:"members" doc:"its live members, in the order in which they joined"`
}

// MayDoInTheMesh is what one member may do.
type MayDoInTheMesh struct {
	MemberID    string                    `json:"member_id" doc:"the member's id"`
	DisplayName string                    `json:"display_name" doc:"the member's name"`
	Role        string                    `json:"role" doc:"admin or member"`
	IsOwner     bool                      `json:"is_owner" doc:"the mesh was made with this member's account or key, so it may do everything"`
	Permissions map[store.Permission]bool `json:"permissions" doc:"every permission, and whether the member has it"`
}

// SetPermissions is the body of POST /cli/mesh/{slug}/permissions.
type SetPermissions struct {
	Mesh        string                     `path:"slug" json:"-" doc:"slug or id of the mesh"`
	Requester   string                     `json:"requester_id,omitempty" max:"256" doc:"not needed, and proves nothing; when it is there, it has to be the account that asks"`
	Member      string                     `json:"member_id" required:"true" max:"128" doc:"id of the member whose permissions are to change"`
	Permissions map[store.Permission]*bool `json:"permissions" required:"true" doc:"by the name of a permission: true or false, or null for what the member's role says. What is not named stays"`
}

// MeshName implements [feature.MeshNamer].
func (r *SetPermissions) MeshName() string { return r.Mesh }

const textMayNotManage = "You don't have permission to manage permissions"

// Permissions adds the routes that say who may do what in a mesh.
func Permissions(t *Table, d Deps) {
	p := &permissions{store: d.Store, nodes: d.Nodes}
	On(t, Route{
		Method: http.MethodGet, Path: "/cli/mesh/{slug}/permissions", Kind: "http.permissions.get", Group: "Members",
		Summary: "lists what each live member of a mesh may do", Access: feature.AnyCaller, Body: BodyNone,
		Refusals: []sdk.Reason{sdk.ReasonUnknownMesh, sdk.ReasonForbidden},
	}, p.list)
	On(t, Route{
		Method: http.MethodPost, Path: "/cli/mesh/{slug}/permissions", Kind: "http.permissions.set", Group: "Members",
		Summary: "changes what a member may do", Access: feature.AnyCaller,
		BadBody: "Invalid body", Missing: "member_id and permissions required",
		Refusals: []sdk.Reason{sdk.ReasonUnknownMesh, sdk.ReasonForbidden, sdk.ReasonInvalid, sdk.ReasonNotFound},
	}, p.set)
}

type permissions struct {
	store store.Members
	nodes Nodes
}

func (p *permissions) list(ctx context.Context, c *feature.Call, _ *GetPermissions) (*PermissionList, error) {
	mesh, _, err := managed(c)
	if err != nil {
		return nil, err
	}
	members, err := p.store.ListMembers(ctx, mesh.ID)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	list := &PermissionList{Mesh: mesh.Slug, Members: []MayDoInTheMesh{}}
	for _, m := range members {
		if !m.Live() {
			continue
		}
		list.Members = append(list.Members, MayDoInTheMesh{
			MemberID: m.ID, DisplayName: m.DisplayName, Role: string(m.Role), IsOwner: mesh.OwnedBy(m),
			Permissions: effective(mesh, m),
		})
	}
	return list, nil
}

// effective returns every permission, and whether a member has it.
func effective(mesh *store.Mesh, m *store.Member) map[store.Permission]bool {
	may := make(map[store.Permission]bool, len(store.AllPermissions()))
	for _, one := range store.AllPermissions() {
		may[one] = mesh.May(m, one)
	}
	return may
}

// set changes permissions, on every node when it returns or in a moment.
func (p *permissions) set(ctx context.Context, c *feature.Call, m *SetPermissions) (*OK, error) {
	mesh, by, err := managed(c)
	if err != nil {
		return nil, err
	}
	if m.Requester != "" && m.Requester != accountOf(c) {
		return nil, core.Refuse(sdk.ReasonForbidden, "requester_id is not the account that the request was proved for: leave it out")
	}
	if !mesh.May(by, store.CanManagePermissions) {
		return nil, core.Refuse(sdk.ReasonForbidden, textMayNotManage)
	}
	if err := knownPermissions(m.Permissions); err != nil {
		return nil, err
	}
	target, refused := memberOf(ctx, p.store, mesh, m.Member, "Member not found")
	if refused != nil {
		return nil, refused
	}
	_, err = changeRole(ctx, p.store, p.nodes, target.ID, func(row *store.Member, others []*store.Member) *core.Error {
		before := *row
		now := acting(by, &before, others)
		if now == nil || !mesh.May(now, store.CanManagePermissions) {
			return core.Refuse(sdk.ReasonForbidden, textMayNotManage)
		}
		return decide(mesh, now, row, m.Permissions)
	})
	if err != nil {
		return nil, err
	}
	c.Env.Records = append(c.Env.Records, sdk.Record{Event: "permission_changed", Payload: audit.Object(
		audit.String("member", target.ID), audit.String("pubkey", target.Key.String()),
		audit.Raw("permissions", decisions(m.Permissions)))})
	return &OK{OK: true}, nil
}

// accountOf returns the account of a call's caller, "" where there is none.
func accountOf(c *feature.Call) string {
	if c.HTTP.Account != nil {
		return c.HTTP.Account.ID
	}
	return c.Member.AccountID
}

// knownPermissions refuses names that are no permission's.
func knownPermissions(edits map[store.Permission]*bool) error {
	var names []string
	for _, p := range store.AllPermissions() {
		names = append(names, string(p))
	}
	for _, name := range slices.Sorted(maps.Keys(edits)) {
		if slices.Contains(names, string(name)) {
			continue
		}
		text := "permissions: " + core.Shown(string(name)) + " is no permission"
		if meant := nearest.Of(string(name), names); meant != "" {
			text += ": did you mean " + meant + "?"
		}
		return core.Refuse(sdk.ReasonInvalid, text)
	}
	return nil
}

// decide writes decisions into a row.
//
// Nobody decides about the owner, only the owner about who deletes the mesh and
// who manages permissions, and nobody gives what it does not have itself, so that
// whoever the owner has taken something from does not get it back from itself or
// a friend.
func decide(mesh *store.Mesh, by, row *store.Member, edits map[store.Permission]*bool) *core.Error {
	if mesh.OwnedBy(row) {
		return core.Refuse(sdk.ReasonForbidden, "the owner of a mesh may do everything: its permissions cannot be changed")
	}
	before := effective(mesh, row)
	decided := maps.Clone(row.Permissions)
	if decided == nil {
		decided = store.Permissions{}
	}
	for p, value := range edits {
		if ownersAlone(p) && !mesh.OwnedBy(by) {
			return core.Refuse(sdk.ReasonForbidden, "only the owner of the mesh decides who has "+string(p))
		}
		if value == nil {
			delete(decided, p)
		} else {
			decided[p] = *value
		}
	}
	row.Permissions = decided
	return mayGive(mesh, by, row, before)
}

// ownersAlone reports whether only the owner decides who has a permission.
func ownersAlone(p store.Permission) bool {
	return p == store.CanDeleteMesh || p == store.CanManagePermissions
}

// mayGive refuses a change of a row by which its member gets a permission that
// the one who made it does not have.
func mayGive(mesh *store.Mesh, by, row *store.Member, before map[store.Permission]bool) *core.Error {
	for _, p := range store.AllPermissions() {
		if mesh.May(row, p) && !before[p] && !mesh.May(by, p) {
			return core.Refuse(sdk.ReasonForbidden, "you cannot give "+string(p)+", which you do not have yourself")
		}
	}
	return nil
}

// decisions is the canonical JSON of what was asked for, for the audit log.
func decisions(edits map[store.Permission]*bool) []byte {
	fields := make([]audit.Field, 0, len(edits))
	for name, value := range edits {
		if value == nil {
			fields = append(fields, audit.Raw(string(name), nil))
		} else {
			fields = append(fields, audit.Bool(string(name), *value))
		}
	}
	return audit.Object(fields...)
}

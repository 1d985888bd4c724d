package adopt

import (
	"context"

	"github.com/claudemesh/broker/core/store"
)

// permissionNames are the columns of the original's permissions.
func permissionNames() map[store.Permission]string {
	return map[store.Permission]string{
		store.CanInvite:            "can_invite",
		store.CanDeployMcp:         "can_deploy_mcp",
		store.CanManageFiles:       "can_manage_files",
		store.CanManageVault:       "can_manage_vault",
		store.CanManageWatches:     "can_manage_watches",
		store.CanManageWebhooks:    "can_manage_webhooks",
		store.CanWriteState:        "can_write_state",
		store.CanSend:              "can_send",
		store.CanUseTools:          "can_use_tools",
		store.CanDeleteMesh:        "can_delete_mesh",
		store.CanManagePermissions: "can_manage_permissions",
	}
}

func permissionColumns() (list []column) {
	names := permissionNames()
	for _, p := range store.AllPermissions() {
		list = append(list, column{name: names[p]})
	}
	return list
}

// permissions reads the rows of the mesh's members.
func (w *work) permissions(ctx context.Context) error {
	w.decided = make(map[string]store.Permissions)
	for row, err := range w.src.read(ctx, "permission", "WHERE t.mesh_id = $1", w.id) {
		if err != nil {
			return err
		}
		decided := make(store.Permissions)
		for p, name := range permissionNames() {
			if text, ok := row.get(name); ok {
				decided[p] = text == "true"
			}
		}
		w.decided[row.text("member_id")] = decided
	}
	return nil
}

// permissionsOf returns what was decided about a member. The first change of one
// permission wrote down all of them there, so what is as the role says was not
// decided.
func (w *work) permissionsOf(m *store.Member) store.Permissions {
	var list store.Permissions
	role := store.Member{Key: m.Key, Role: m.Role} // owns nothing
	for p, may := range w.decided[m.ID] {
		if may == new(store.Mesh).May(&role, p) {
			continue
		}
		if list == nil {
			list = make(store.Permissions)
		}
		list[p] = may
	}
	return list
}

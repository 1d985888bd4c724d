package store

// Permission is one thing that a member may do in its mesh. The words are the
// wire's.
type Permission string

// Permissions.
const (
	CanInvite            Permission = "canInvite"
	CanDeployMcp         Permission = "canDeployMcp"
	CanManageFiles       Permission = "canManageFiles"
	CanManageVault       Permission = "canManageVault"
	CanManageWatches     Permission = "canManageWatches"
	CanManageWebhooks    Permission = "canManageWebhooks"
	CanWriteState        Permission = "canWriteState"
	CanSend              Permission = "canSend"
	CanUseTools          Permission = "canUseTools"
	CanDeleteMesh        Permission = "canDeleteMesh"
	CanManagePermissions Permission = "canManagePermissions"
)

// AllPermissions returns every permission, in the order in which they are shown.
func AllPermissions() []Permission {
	return []Permission{
		CanInvite, CanDeployMcp, CanManageFiles, CanManageVault, CanManageWatches, CanManageWebhooks,
		CanWriteState, CanSend, CanUseTools, CanDeleteMesh, CanManagePermissions,
	}
}

// Permissions are what was decided about a member by name. A permission without
// an entry is decided by its role.
type Permissions map[Permission]bool

// May reports whether a member may do something in its mesh.
//
// The owner, whose account or key the mesh was made with, may do everything, and
// nobody can take that away. Without an entry of its own an admin may do all but
// delete the mesh, and a member may send, write state and use tools.
func (m *Mesh) May(who *Member, p Permission) bool {
	if m.OwnedBy(who) {
		return true
	}
	if decided, ok := who.Permissions[p]; ok {
		return decided
	}
	return p.Everyones() || p != CanDeleteMesh && who.Role == RoleAdmin
}

// Everyones reports whether every member has a permission of which nothing else
// was decided.
func (p Permission) Everyones() bool { return p == CanSend || p == CanWriteState || p == CanUseTools }

// OwnedBy reports whether a member is the mesh's owner.
func (m *Mesh) OwnedBy(who *Member) bool {
	return who.Key == m.OwnerKey || m.OwnerAccount != "" && who.AccountID == m.OwnerAccount
}

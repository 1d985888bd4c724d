package admin

import (
	"context"
	"time"

	"github.com/claudemesh/broker/core/pluginhost"
)

// Ops are the operator's operations. All methods may be called concurrently.
//
// A mesh is named by its id or its slug.
type Ops interface {
	// CreateMesh makes a mesh, so many members with fresh keys, the first of
	// them an admin, and an invite for more. The secret keys in the answer are
	// kept nowhere else.
	CreateMesh(ctx context.Context, name string, members int) (*NewMesh, error)

	// ListMeshes returns the meshes in use, oldest first.
	ListMeshes(ctx context.Context) ([]Mesh, error)

	// ListMembers returns a mesh's members, revoked ones too, by time of joining.
	ListMembers(ctx context.Context, mesh string) ([]Member, error)

	// RevokeMember ends a member's access for good and closes its sessions. The
	// member is named by its id, its key, the beginning of its key (8 digits at
	// least) or its display name; a name that two live members answer to is
	// refused. Revoking again is no error.
	RevokeMember(ctx context.Context, mesh, ref string) (*Revocation, error)

	// CreateInvite makes an invite and signs it with the mesh owner's key.
	CreateInvite(ctx context.Context, mesh string, o InviteOptions) (*Invite, error)

	// VerifyAudit reads a mesh's whole audit chain. A broken chain is an
	// answer, not an error.
	VerifyAudit(ctx context.Context, mesh string) (*Verification, error)

	// Migrations returns the migrations that the program knows, oldest first,
	// and which of them the store has.
	Migrations(ctx context.Context) ([]Migration, error)

	// Migrate applies what is pending and returns the list as it is then.
	Migrate(ctx context.Context) ([]Migration, error)

	// Chain describes the chain that runs, with its counters, or the one that
	// the config would run.
	Chain(ctx context.Context) (*Chain, error)

	// Reload has a running broker read its config again and swap its chain.
	Reload(ctx context.Context, o ReloadOptions) (*Reload, error)

	// ListPlugins returns the links that run plugins, by name: of the chains
	// that run, or, without a broker, of the config.
	ListPlugins(ctx context.Context) ([]pluginhost.Status, error)

	// ResumePlugin has a running broker start a link's plugin again that was
	// given up after too many crashes. It does not wait for the start.
	ResumePlugin(ctx context.Context, link string) error
}

// InviteOptions say what an invite allows. Zero fields take the default.
type InviteOptions struct {
	Role string        // member (default) or admin
	Uses int           // how many may join with it; default 1
	TTL  time.Duration // how long it holds, whole seconds; default 7 days
}

// ReloadOptions say how far a reload goes.
type ReloadOptions struct {
	DryRun bool `json:"dryRun"` // check the new config, change nothing
	Wait   bool `json:"wait"`   // return when the last envelope has left the old chain
}

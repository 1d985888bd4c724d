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
	// CreateMesh makes a mesh, members with fresh keys, the first of them an
	// admin, and an invite for more. The secret keys in the answer are kept
	// nowhere else. An owner that is no account yet is made one.
	CreateMesh(ctx context.Context, name string, o MeshOptions) (*NewMesh, error)

	// ListMeshes returns the meshes in use, oldest first.
	ListMeshes(ctx context.Context) ([]Mesh, error)

	// ListMembers returns a mesh's members, revoked ones too, by time of joining.
	ListMembers(ctx context.Context, mesh string) ([]Member, error)

	// RevokeMember ends a member's access for good and closes its sessions. The
	// member is named by its id, its key, the beginning of its key (8 digits at
	// least) or its display name; a name that two live members answer to is
	// refused. Revoking again is no error.
	RevokeMember(ctx context.Context, mesh, ref string) (*Revocation, error)

	// LinkMember makes a live member an account's: over HTTP the account then acts
	// as the member. The member is named as in RevokeMember. One that is another
	// account's is refused, unless it is to be moved. The same again changes
	// nothing.
	LinkMember(ctx context.Context, mesh, ref, account string, move bool) (*MemberLink, error)

	// CreateInvite makes an invite and signs it with the mesh owner's key.
	CreateInvite(ctx context.Context, mesh string, o InviteOptions) (*Invite, error)

	// CreateToken makes a bearer token of an account, and the account when there is
	// none with this id, and a one-time code, which is good for 10 minutes. Token
	// and code are kept nowhere else.
	CreateToken(ctx context.Context, account string, o TokenOptions) (*NewToken, error)

	// ListTokens returns the good tokens of an account, or of all with "", oldest
	// first.
	ListTokens(ctx context.Context, account string) ([]Token, error)

	// RevokeToken ends a token, by its id, for good.
	RevokeToken(ctx context.Context, id string) error

	// ApproveSignIn signs the command line in that waits with a user code. With
	// "" it is for the only account that may sign in.
	ApproveSignIn(ctx context.Context, code, account string) (*Approval, error)

	// ListAccounts returns all accounts by id.
	ListAccounts(ctx context.Context) ([]Account, error)

	// SetAccountEnabled says whether an account may sign in and its tokens are
	// good. Members that belong to it can connect all the same. Saying the same
	// again is no error.
	SetAccountEnabled(ctx context.Context, account string, enabled bool) (*Account, error)

	// SetAccountLegacy says whether legacy-auth may take the account's id for a
	// proof.
	SetAccountLegacy(ctx context.Context, account string, allowed bool) (*Account, error)

	// SetMeshOwner makes an account the owner of a mesh.
	SetMeshOwner(ctx context.Context, mesh, account string) (*MeshOwner, error)

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

	// ListRefusals returns what a running broker has refused lately, oldest first.
	ListRefusals(ctx context.Context, o RefusalOptions) (*Refusals, error)

	// LogLevel says which lines a running broker's log has.
	LogLevel(ctx context.Context) (*LogLevel, error)

	// SetLogLevel changes it, without a restart, and says how it is then.
	SetLogLevel(ctx context.Context, o LogLevelOptions) (*LogLevel, error)
}

// MeshOptions say what a mesh is made with.
type MeshOptions struct {
	Members int    // how many members, up to MaxMembers
	Owner   string // id of the account that owns it over HTTP; "" for none
}

// InviteOptions say what an invite allows. Zero fields take the default.
type InviteOptions struct {
	Role string        // member (default) or admin
	Uses int           // how many may join with it; default 1
	TTL  time.Duration // how long it holds, whole seconds; default 7 days
}

// TokenOptions say what a token is like, and whose it is. Zero fields take the
// default.
type TokenOptions struct {
	Email string        // of the account; an empty one changes nothing
	Name  string        // of the account, as above; default for a new account: its id
	TTL   time.Duration // how long the token is good; default: the config's http.token_ttl
}

// ReloadOptions say how far a reload goes.
type ReloadOptions struct {
	DryRun bool `json:"dryRun"` // check the new config, change nothing
	Wait   bool `json:"wait"`   // return when the last envelope has left the old chain
}

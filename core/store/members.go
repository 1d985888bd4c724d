package store

import (
	"context"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// Role is what a member may do in its mesh.
type Role string

// Roles. The owner is the member that holds the mesh's owner key.
const (
	RoleAdmin  Role = "admin"
	RoleMember Role = "member"
)

// Group is a membership in a named group, with a role that only other members
// read.
type Group struct {
	Name string `json:"name"`
	Role string `json:"role,omitempty"`
}

// Capability is one thing that a recipient can allow a sender.
type Capability string

// Capabilities. The broker enforces dm and broadcast on messages, state-read on
// what a member writes for its mesh and on what others are told of it, and
// state-write on values that another one has set.
const (
	CapRead       Capability = "read"
	CapDM         Capability = "dm"
	CapBroadcast  Capability = "broadcast"
	CapStateRead  Capability = "state-read"
	CapStateWrite Capability = "state-write"
	CapFileRead   Capability = "file-read"
)

// Grants is what a member allows, by sender key. A sender without an entry has
// the default capabilities; an empty list blocks it.
type Grants map[sdk.Key][]Capability

// Member is a lasting identity in one mesh. Rows are shared between callers
// and never changed after they are read: a change is a new row.
type Member struct {
	ID            string
	MeshID        string
	Key           sdk.Key
	DisplayName   string
	Role          Role
	RoleTag       string // "" when unset
	DefaultGroups []Group
	MessageMode   string // push, inbox or off; only clients heed it
	Grants        Grants
	Permissions   Permissions // nil: as the role says
	AccountID     string      // of the person behind the member; "" when unknown
	JoinedAt      time.Time
	RevokedAt     time.Time // zero while the member is live
}

// Live reports whether the member may connect.
func (m *Member) Live() bool { return m.RevokedAt.IsZero() }

// Members keeps members. One key has at most one row in a mesh, live or
// revoked.
type Members interface {
	// AddMember enrols a member. ErrConflict: the key has a row in this mesh.
	AddMember(ctx context.Context, m *Member) error

	// Member returns the row of a key in a mesh, revoked ones too. ErrNotFound.
	Member(ctx context.Context, mesh string, key sdk.Key) (*Member, error)

	// MemberByID returns one row. ErrNotFound.
	MemberByID(ctx context.Context, id string) (*Member, error)

	// ListMembers returns a mesh's members, revoked ones too, by time of joining.
	ListMembers(ctx context.Context, mesh string) ([]*Member, error)

	// SetRevoked revokes a member at the given time, or brings it back with the
	// zero time. Its API keys end with it, for good: who is brought back has none.
	// ErrNotFound.
	SetRevoked(ctx context.Context, id string, at time.Time) error

	// ChangeMember lets change edit a copy of the row, in one transaction with
	// reading it, and returns what was written. ID, MeshID, Key, JoinedAt and
	// RevokedAt stay. An error of change is returned as it is, and nothing is
	// written. change may run more than once, and must not call the store: others
	// wait for it. ErrNotFound.
	ChangeMember(ctx context.Context, id string, change func(*Member) error) (*Member, error)

	// ChangeRole is ChangeMember for a change that depends on who else is in the
	// mesh: change also gets the mesh's other live members, of which none gets
	// another role meanwhile by ChangeRole, on any node.
	ChangeRole(ctx context.Context, id string, change func(m *Member, others []*Member) error) (*Member, error)
}

// SessionKey says which member first used a session key. The key is that
// member's for good: nobody else can present it, and a message to it is known
// to be for that member also while the session is away.
type SessionKey struct {
	MeshID    string
	Key       sdk.Key
	MemberID  string
	ClaimedAt time.Time
}

// SessionKeys reads whose session keys are. They are written through a Batch,
// where the first claim of a key wins.
type SessionKeys interface {
	// SessionKeyOwner returns the member that owns a key. ErrNotFound.
	SessionKeyOwner(ctx context.Context, mesh string, key sdk.Key) (memberID string, err error)
}

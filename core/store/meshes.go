package store

import (
	"context"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// Mesh is the members who can reach each other at all.
type Mesh struct {
	ID          string
	Slug        string // for people; unique in one store
	Name        string
	OwnerKey    sdk.Key // signs invites
	OwnerSecret string  // the owner's ed25519 seed, sealed with the operator's key
	RootKey     string  // the mesh root key, sealed with the operator's key
	Policy      Policy

	// OwnerAccount is the account of the person who made the mesh; "" for a mesh
	// that the operator made for nobody.
	OwnerAccount string

	CreatedAt  time.Time
	ArchivedAt time.Time // zero while the mesh is in use
}

// Policy says which of their own profile fields members may edit.
type Policy struct {
	DisplayName bool `json:"displayName"`
	RoleTag     bool `json:"roleTag"`
	Groups      bool `json:"groups"`
	MessageMode bool `json:"messageMode"`
}

// Meshes keeps meshes.
type Meshes interface {
	// CreateMesh writes the mesh with its first members in one transaction.
	// ErrConflict: the id or the slug is taken.
	CreateMesh(ctx context.Context, m *Mesh, members []*Member) error

	// Mesh returns one mesh by id, archived ones too. ErrNotFound.
	Mesh(ctx context.Context, id string) (*Mesh, error)

	// FindMesh returns the live mesh whose id or slug is given. ErrNotFound.
	FindMesh(ctx context.Context, idOrSlug string) (*Mesh, error)

	// ChangeMesh lets change edit a copy of the row, in one transaction with
	// reading it, and returns what was written. ID, Slug and CreatedAt stay. An
	// error of change is returned as it is, and nothing is written. change is as
	// in [Members].ChangeMember. ErrNotFound.
	ChangeMesh(ctx context.Context, id string, change func(*Mesh) error) (*Mesh, error)

	// ListMeshes returns the live meshes with their live members' count, oldest first.
	ListMeshes(ctx context.Context) ([]MeshSummary, error)

	// ArchivedMeshes returns the ids of the others, in no order.
	ArchivedMeshes(ctx context.Context) ([]string, error)
}

// MeshSummary is one line of a list of meshes.
type MeshSummary struct {
	Mesh    *Mesh
	Members int
}

package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"unicode"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

const groupMeshes = "Meshes"

// ListMeshes is GET /cli/meshes.
type ListMeshes struct {
	UserID string `query:"user_id" json:"-" doc:"account, for command lines without a token, where legacy-auth is on"`
}

// MeshList answers a [ListMeshes].
type MeshList struct {
	Meshes []ListedMesh `json:"meshes" doc:"live meshes that the caller owns or is a member of, oldest first, each once"`
}

// ListedMesh is a mesh as one account sees it.
type ListedMesh struct {
	ID          string     `json:"id" doc:"id of the mesh"`
	Slug        string     `json:"slug" doc:"short name for people; unique on this broker"`
	Name        string     `json:"name" doc:"name of the mesh"`
	Role        store.Role `json:"role" doc:"admin or member; an owner is an admin"`
	IsOwner     bool       `json:"is_owner" doc:"true for the mesh's owner"`
	MemberCount int        `json:"member_count" doc:"live members, connected or not"`
	ActivePeers int        `json:"active_peers" doc:"sessions that are connected now, to any node"`
	JoinedAt    string     `json:"joined_at" doc:"when the caller joined; for an owner without a member, when the mesh was made"`
	BrokerURL   string     `json:"broker_url" doc:"WebSocket URL to connect to"`
}

// ListMyMeshes is GET /api/my/meshes.
type ListMyMeshes struct{}

// MyMeshes answers a [ListMyMeshes].
type MyMeshes []MyMesh

// MyMesh is a mesh in [MyMeshes].
type MyMesh struct {
	ID          string `json:"id" doc:"id of the mesh"`
	Slug        string `json:"slug" doc:"short name for people"`
	Name        string `json:"name" doc:"name of the mesh"`
	Role        string `json:"role" doc:"owner, admin or member"`
	MemberCount int    `json:"member_count" doc:"live members, connected or not"`
}

// RenameMesh is the body of PATCH /api/my/meshes/{slug}.
type RenameMesh struct {
	Slug string `path:"slug" json:"-" doc:"slug or id of the mesh"`
	Name string `json:"name" required:"true" max:"128" doc:"new name; the slug stays as it is"`
}

// MeshName implements [feature.MeshNamer].
func (m *RenameMesh) MeshName() string { return m.Slug }

// MeshRenamed answers a [RenameMesh].
type MeshRenamed struct {
	Slug string `json:"slug" doc:"the slug, as it was"`
	Name string `json:"name" doc:"the new name"`
}

// Meshes adds the routes by which somebody looks at and renames the meshes that
// are theirs.
func Meshes(t *Table, d Deps) {
	m := &meshes{d}
	On(t, Route{
		Method: http.MethodGet, Path: "/cli/meshes", Kind: "http.mesh.list", Group: groupMeshes,
		Summary: "lists the caller's meshes, with who is connected", Access: feature.AnAccount, Legacy: true, Body: BodyNone,
	}, m.list)
	On(t, Route{
		Method: http.MethodGet, Path: "/api/my/meshes", Kind: "http.mesh.mine", Group: groupMeshes,
		Summary: "lists the caller's meshes", Access: feature.AnAccount, Body: BodyNone,
	}, m.mine)
	On(t, Route{
		Method: http.MethodPatch, Path: "/api/my/meshes/{slug}", Kind: "http.mesh.rename", Group: groupMeshes,
		Summary: "renames a mesh; for its owner", Access: feature.AnyCaller, Missing: textNameRequired, BadBody: textBadBody,
		Refusals: []sdk.Reason{sdk.ReasonUnknownMesh, sdk.ReasonForbidden, sdk.ReasonInvalid},
	}, m.rename)
}

const textNameRequired = "name required"

type meshes struct{ Deps }

func (s *meshes) list(ctx context.Context, c *feature.Call, _ *ListMeshes) (*MeshList, error) {
	rows, err := s.Store.AccountMeshes(ctx, c.HTTP.Account.ID)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	list := make([]ListedMesh, len(rows))
	for i, row := range rows {
		role, owner := standing(row, c.HTTP.Account)
		list[i] = ListedMesh{
			ID: row.Mesh.ID, Slug: row.Mesh.Slug, Name: row.Mesh.Name, Role: role, IsOwner: owner,
			MemberCount: row.Members, ActivePeers: s.connected(row.Mesh.ID),
			JoinedAt: stamp(row.Mesh.CreatedAt), BrokerURL: s.URL(),
		}
		if row.Member != nil {
			list[i].JoinedAt = stamp(row.Member.JoinedAt)
		}
	}
	return &MeshList{Meshes: list}, nil
}

func (s *meshes) mine(ctx context.Context, c *feature.Call, _ *ListMyMeshes) (*MyMeshes, error) {
	rows, err := s.Store.AccountMeshes(ctx, c.HTTP.Account.ID)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	list := make(MyMeshes, len(rows))
	for i, row := range rows {
		role, owner := standing(row, c.HTTP.Account)
		if owner {
			role = "owner"
		}
		list[i] = MyMesh{
			ID: row.Mesh.ID, Slug: row.Mesh.Slug, Name: row.Mesh.Name, Role: string(role), MemberCount: row.Members,
		}
	}
	return &list, nil
}

// standing says what an account is in one of its meshes. The owner is an admin,
// also without a member and whatever its member's row says.
func standing(row store.AccountMesh, a *store.Account) (role store.Role, owner bool) {
	if row.Mesh.OwnerAccount == a.ID || row.Member != nil && row.Mesh.OwnedBy(row.Member) {
		return store.RoleAdmin, true
	}
	return row.Member.Role, false
}

// connected counts the sessions of a mesh that are connected now, those on other
// nodes too, and those that hide.
func (s *meshes) connected(meshID string) int {
	n := 0
	for _, v := range s.Directory.Views(meshID) {
		if v.Online {
			n++
		}
	}
	return n
}

func (s *meshes) rename(ctx context.Context, c *feature.Call, m *RenameMesh) (*MeshRenamed, error) {
	mesh, err := named(c)
	if err != nil {
		return nil, err
	}
	if !owns(c) {
		return nil, core.Refuse(sdk.ReasonForbidden, "Only the mesh owner can rename it").Explain(ownerHint)
	}
	name, err := meshName(m.Name)
	if err != nil {
		return nil, err
	}
	_, err = s.Store.ChangeMesh(ctx, mesh.ID, func(m *store.Mesh) error {
		if !m.ArchivedAt.IsZero() {
			return store.ErrNotFound
		}
		m.Name = name
		return nil
	})
	s.Nodes.ForgetMesh(mesh.ID) // also where nobody knows whether it was written
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, core.Refuse(sdk.ReasonUnknownMesh, "Mesh not found")
	case err != nil:
		return nil, core.Unavailable(err)
	}
	record(c, "mesh_renamed", audit.String("name", name))
	return &MeshRenamed{Slug: mesh.Slug, Name: name}, nil
}

// meshName returns a mesh's name without the space around it. What is none is
// refused, as when a mesh is made.
func meshName(text string) (string, error) {
	name := strings.TrimSpace(text)
	switch {
	case name == "":
		return "", core.Refuse(sdk.ReasonMalformed, textNameRequired)
	case strings.ContainsFunc(name, unicode.IsControl):
		return "", core.Refuse(sdk.ReasonInvalid, "name: must be plain text, without control characters")
	}
	return name, nil
}

package api

import (
	"context"
	"net/http"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/issue"
	"github.com/claudemesh/broker/sdk"
)

// CreateMesh is the body of POST /cli/mesh/create.
type CreateMesh struct {
	Name        string `json:"name" required:"true" max:"128" doc:"name of the mesh. Its slug is made of the letters a-z and the digits in it; mesh when there are none"`
	Pubkey      string `json:"pubkey,omitempty" max:"128" needed:"true" doc:"ed25519 key of the caller's first member, 64 hex digits"`
	Slug        string `json:"slug,omitempty" max:"48" doc:"wish for the slug, of a-z, 0-9 and -; made from the name when absent. One that is taken gets a number"`
	Template    string `json:"template,omitempty" max:"128" doc:"not used; command lines send it"`
	Description string `json:"description,omitempty" max:"4096" doc:"not used; command lines send it"`
}

// MeshCreated answers a [CreateMesh].
type MeshCreated struct {
	ID       string `json:"id" doc:"id of the mesh"`
	Slug     string `json:"slug" doc:"its slug"`
	Name     string `json:"name" doc:"its name"`
	MemberID string `json:"member_id" doc:"id of the caller's member, an admin"`
}

// MeshCreation adds the route that makes a mesh.
func MeshCreation(t *Table, d Deps) {
	m := &meshCreation{d}
	On(t, Route{
		Method: http.MethodPost, Path: "/cli/mesh/create", Kind: "http.mesh.create", Group: groupMeshes,
		Summary: "makes a mesh that the caller owns, with the caller's first member", Access: feature.AnAccount, Legacy: true,
		BadBody: textBadBody, Missing: textNameRequired,
		Refusals: []sdk.Reason{sdk.ReasonInvalidArguments, sdk.ReasonForbidden, ReasonConflict},
	}, m.create)
}

type meshCreation struct{ Deps }

// create makes a mesh. All of the request is checked before anything is
// written, and all is written in one transaction.
func (s *meshCreation) create(ctx context.Context, c *feature.Call, m *CreateMesh) (*MeshCreated, error) {
	if s.Config.CreateMeshes == config.Nobody {
		return nil, core.Refuse(sdk.ReasonForbidden,
			"nobody can create a mesh over HTTP here: ask the operator, who makes one on the broker's machine with broker mesh create")
	}
	name, err := meshName(m.Name)
	if err != nil {
		return nil, err
	}
	founder, err := issue.Founder(name, m.Pubkey, c.HTTP.Account.ID)
	if err != nil {
		return nil, err
	}
	mesh, members, err := s.Issuer.Mesh(ctx, issue.NewMesh{
		Name: name, Slug: m.Slug, OwnerAccount: c.HTTP.Account.ID, Members: []issue.NewMember{founder},
	})
	if err != nil {
		return nil, issued(err, "Too many meshes with this name")
	}
	member := members[0]
	c.Env.Mesh = mesh.ID
	c.Env.Sender.MemberID, c.Env.Sender.Member, c.Env.Sender.Name = member.ID, member.Key, member.DisplayName
	record(c, "mesh_created", audit.String("slug", mesh.Slug), audit.String("pubkey", member.Key.String()))
	return &MeshCreated{ID: mesh.ID, Slug: mesh.Slug, Name: mesh.Name, MemberID: member.ID}, nil
}

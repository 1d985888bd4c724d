package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// DeleteMesh is DELETE /cli/mesh/{slug}. A body may name the account, for
// legacy-auth.
type DeleteMesh struct {
	Slug string `path:"slug" json:"-" doc:"slug or id of the mesh"`
}

// MeshName implements [feature.MeshNamer].
func (m *DeleteMesh) MeshName() string { return m.Slug }

// MeshDeleted answers a [DeleteMesh].
type MeshDeleted struct {
	OK      bool   `json:"ok" doc:"true"`
	Deleted string `json:"deleted" doc:"slug of the mesh"`
}

// MeshDeletion adds the route that deletes a mesh.
func MeshDeletion(t *Table, d Deps) {
	m := &meshDeletion{d}
	On(t, Route{
		Method: http.MethodDelete, Path: "/cli/mesh/{slug}", Kind: "http.mesh.delete", Group: groupMeshes,
		Summary: "deletes a mesh for good, and ends its sessions", Access: feature.AnyCaller, Legacy: true,
		Body: BodyOptional, BadBody: textBadBody,
		Refusals: []sdk.Reason{sdk.ReasonUnknownMesh, sdk.ReasonForbidden},
	}, m.delete)
}

type meshDeletion struct{ Deps }

// delete archives a mesh. Nobody can connect to it any more or join it, and who
// is connected is sent away; its messages, which nobody can fetch, expire.
func (s *meshDeletion) delete(ctx context.Context, c *feature.Call, _ *DeleteMesh) (*MeshDeleted, error) {
	mesh, err := named(c)
	if err != nil {
		return nil, err
	}
	if !may(c, store.CanDeleteMesh) {
		return nil, core.Refuse(sdk.ReasonForbidden, "Only the mesh owner can delete it").Explain(
			"the owner and whoever has canDeleteMesh may: ask one of them. " + ownerHint)
	}
	at := c.Env.Arrived.UTC().Truncate(time.Millisecond)
	_, err = s.Store.ChangeMesh(ctx, mesh.ID, func(m *store.Mesh) error {
		if !m.ArchivedAt.IsZero() {
			return store.ErrNotFound // somebody was faster
		}
		m.ArchivedAt = at
		return nil
	})
	s.Nodes.ForgetMesh(mesh.ID) // also where nobody knows whether it was written
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, core.Refuse(sdk.ReasonUnknownMesh, "Mesh not found")
	case err != nil:
		return nil, core.Unavailable(err)
	}
	record(c, "mesh_archived", audit.String("slug", mesh.Slug))
	return &MeshDeleted{OK: true, Deleted: mesh.Slug}, nil
}

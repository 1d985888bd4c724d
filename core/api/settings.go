package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// SetSettings is the body of PATCH /mesh/{id}/settings.
type SetSettings struct {
	Mesh         string      `path:"id" json:"-" doc:"id or slug of the mesh"`
	SelfEditable *PolicyEdit `json:"selfEditable" required:"true" doc:"which fields of their own profile members may edit. What is not named stays"`
}

// MeshName implements [feature.MeshNamer].
func (r *SetSettings) MeshName() string { return r.Mesh }

// PolicyEdit changes what members may edit.
type PolicyEdit struct {
	DisplayName *bool `json:"displayName,omitzero" doc:"the name"`
	RoleTag     *bool `json:"roleTag,omitzero" doc:"the text that describes the member's part"`
	Groups      *bool `json:"groups,omitzero" doc:"the groups that sessions begin with"`
	MessageMode *bool `json:"messageMode,omitzero" doc:"how messages reach the member"`
}

// MeshSettings answers a [SetSettings].
type MeshSettings struct {
	OK           bool         `json:"ok" doc:"true"`
	SelfEditable store.Policy `json:"selfEditable" doc:"which fields of their own profile members may edit now"`
}

const textNoSettings = "no settings to update"

// Settings adds the route by which admins change a mesh.
func Settings(t *Table, d Deps) {
	s := &settings{store: d.Store, nodes: d.Nodes}
	On(t, Route{
		Method: http.MethodPatch, Path: "/mesh/{id}/settings", Kind: "http.mesh.settings", Group: "Members",
		Summary: "changes what the members of a mesh may edit of their own profile", Access: feature.AnyCaller,
		Missing:  textNoSettings,
		Refusals: []sdk.Reason{sdk.ReasonUnknownMesh, sdk.ReasonForbidden, sdk.ReasonInvalid},
	}, s.set)
}

type settings struct {
	store store.Meshes
	nodes Nodes
}

func (s *settings) set(ctx context.Context, c *feature.Call, m *SetSettings) (*MeshSettings, error) {
	mesh, by, err := meshPlace(c)
	switch {
	case err != nil:
		return nil, err
	case !isAdmin(mesh, by):
		return nil, core.Refuse(sdk.ReasonForbidden, "admin access required")
	case *m.SelfEditable == PolicyEdit{}:
		return nil, core.Refuse(sdk.ReasonInvalid, textNoSettings)
	}
	after, err := s.store.ChangeMesh(ctx, mesh.ID, func(row *store.Mesh) error {
		if !row.ArchivedAt.IsZero() {
			return store.ErrNotFound
		}
		m.SelfEditable.apply(&row.Policy)
		return nil
	})
	s.nodes.ForgetMesh(mesh.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, core.Refuse(sdk.ReasonUnknownMesh, "mesh not found")
	case err != nil:
		return nil, core.Unavailable(err)
	}
	c.Env.Records = append(c.Env.Records, sdk.Record{Event: "mesh_settings_changed", Payload: audit.Object(
		audit.Raw("selfEditable", policyText(after.Policy)))})
	return &MeshSettings{OK: true, SelfEditable: after.Policy}, nil
}

func (e *PolicyEdit) apply(p *store.Policy) {
	for _, f := range []struct {
		to   *bool
		from *bool
	}{
		{&p.DisplayName, e.DisplayName},
		{&p.RoleTag, e.RoleTag},
		{&p.Groups, e.Groups},
		{&p.MessageMode, e.MessageMode},
	} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
}

// policyText is the canonical JSON of a policy.
func policyText(p store.Policy) []byte {
	return audit.Object(
		audit.Bool("displayName", p.DisplayName), audit.Bool("roleTag", p.RoleTag),
		audit.Bool("groups", p.Groups), audit.Bool("messageMode", p.MessageMode))
}

package api

import (
	"context"
	"net/http"

	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// SetGrants is the body of POST /cli/mesh/{slug}/grants.
type SetGrants struct {
	Mesh   string          `path:"slug" json:"-" doc:"slug or id of the mesh"`
	Grants wire.GrantEdits `json:"grants" required:"true" words:"capabilities" doc:"by the key of a member or a session, at most 256 keys: a list of read, dm, broadcast, state-read, state-write and file-read, where an empty one blocks, or null for the default. What is not named stays"`
	UserID string          `json:"user_id,omitempty" max:"256" doc:"the account that asks, for callers without a token; taken where legacy-auth is on"`
}

// MeshName implements [feature.MeshNamer].
func (r *SetGrants) MeshName() string { return r.Mesh }

// GetGrants is GET /cli/mesh/{slug}/grants.
type GetGrants struct {
	Mesh string `path:"slug" json:"-" doc:"slug or id of the mesh"`
}

// MeshName implements [feature.MeshNamer].
func (r *GetGrants) MeshName() string { return r.Mesh }

// Granted answers a [SetGrants] and a [GetGrants].
type Granted struct {
	OK     bool                 `json:"ok" doc:"true"`
	Grants map[sdk.Key][]string `json:"grants" words:"capabilities" doc:"all that the member allows, by the key of a sender; who is not here has the default: read, dm, broadcast, state-read"`
}

// Grants adds the routes by which members say what they allow others.
func Grants(t *Table, d Deps) {
	g := &grants{book: feature.NewGrantBook(d.Store, d.Nodes)}
	On(t, Route{
		Method: http.MethodPost, Path: "/cli/mesh/{slug}/grants", Kind: "http.grants.set", Group: "Members",
		Summary: "changes what the caller's members in a mesh allow others", Access: feature.AnyCaller, Legacy: true,
		BadBody: "Invalid body", Missing: "grants required",
		Refusals: []sdk.Reason{sdk.ReasonUnknownMesh, sdk.ReasonForbidden, sdk.ReasonInvalid},
	}, g.set)
	On(t, Route{
		Method: http.MethodGet, Path: "/cli/mesh/{slug}/grants", Kind: "http.grants.get", Group: "Members",
		Summary: "shows what the caller's member in a mesh allows others", Access: feature.AnyCaller, Body: BodyNone,
		Refusals: []sdk.Reason{sdk.ReasonUnknownMesh, sdk.ReasonForbidden},
	}, g.get)
}

type grants struct{ book *feature.GrantBook }

func (g *grants) set(ctx context.Context, c *feature.Call, m *SetGrants) (*Granted, error) {
	_, by, err := place(c)
	if err != nil {
		return nil, err
	}
	after, err := g.book.Edit(ctx, c, by, m.Grants)
	if err != nil {
		return nil, err
	}
	return &Granted{OK: true, Grants: feature.GrantTexts(after)}, nil
}

func (*grants) get(_ context.Context, c *feature.Call, _ *GetGrants) (*Granted, error) {
	_, by, err := place(c)
	if err != nil {
		return nil, err
	}
	return &Granted{OK: true, Grants: feature.GrantTexts(by.Grants)}, nil
}

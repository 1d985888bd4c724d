package api

import (
	"context"
	"net/http"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// What the routes under /v1 have in common: programs act there for a member, with
// its API key, its signature, or the token of the account behind it.
const groupGateway = "Gateway"

const (
	textNameMesh  = "mesh not found: name it in the query, ?mesh=, by id or slug"
	textNoPlace   = "your account has no member in this mesh: join it first"
	textKeyTopics = "this API key is for some topics alone: make one without topicScopes"
)

// gateway is what the handlers under /v1 work with.
type gateway struct {
	Deps
	registry *feature.Registry
}

// Gateway adds the routes under /v1.
func Gateway(t *Table, d Deps) {
	g := &gateway{Deps: d, registry: t.registry}
	g.messages(t)
	g.peers(t)
	g.topics(t)
	g.topicKeys(t)
	g.events(t)
}

// onGateway adds a route under /v1.
func onGateway[Req, Resp any](t *Table, r Route, h func(context.Context, *feature.Call, *Req) (*Resp, error)) {
	r.Group, r.Access = groupGateway, feature.AnyCaller
	if r.Method == http.MethodGet || r.Method == http.MethodDelete {
		r.Body = BodyNone
	}
	r.Refusals = append(r.Refusals, sdk.ReasonUnknownMesh, sdk.ReasonForbidden)
	On(t, r, h)
}

// actingFor returns the member that a call under /v1 acts for.
func actingFor(c *feature.Call) (*store.Mesh, *store.Member, error) {
	switch {
	case c.HTTP.Mesh == nil:
		return nil, nil, core.Refuse(sdk.ReasonUnknownMesh, textNameMesh)
	case c.Member == nil:
		return nil, nil, core.Refuse(sdk.ReasonForbidden, textNoPlace)
	}
	return c.HTTP.Mesh, c.Member, nil
}

// actingForAll is actingFor, and refuses API keys that are for some topics alone.
func actingForAll(c *feature.Call) (*store.Mesh, *store.Member, error) {
	if k := c.HTTP.APIKey; k != nil && len(k.Topics) > 0 {
		return nil, nil, core.Refuse(feature.ReasonKeyTopic, textKeyTopics)
	}
	return actingFor(c)
}

// ListPeersV1 is GET /v1/peers.
type ListPeersV1 struct {
	Mesh string `query:"mesh" json:"-" doc:"id or slug of the mesh; only accounts have to name it"`
}

// MeshName implements [feature.MeshNamer].
func (r *ListPeersV1) MeshName() string { return r.Mesh }

// PeersV1 answers a [ListPeersV1].
type PeersV1 struct {
	Peers []wire.PeerRow `json:"peers" doc:"the sessions that are here, on whatever node, or were a moment ago; hidden ones of other members are left out"`
}

func (g *gateway) peers(t *Table) {
	onGateway(t, Route{
		Method: http.MethodGet, Path: "/v1/peers", Kind: "http.v1.peers", Key: store.KeyRead,
		Summary:  "lists who is in the mesh now, as list_peers does over a socket",
		Refusals: []sdk.Reason{feature.ReasonKeyTopic},
	}, g.listPeers)
}

func (g *gateway) listPeers(ctx context.Context, c *feature.Call, _ *ListPeersV1) (*PeersV1, error) {
	if _, _, err := actingForAll(c); err != nil {
		return nil, err
	}
	list, err := feature.Ask[wire.PeersList](ctx, g.registry, c, &wire.ListPeers{})
	return &PeersV1{Peers: list.Peers}, err
}

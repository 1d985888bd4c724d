package api

import (
	"context"
	"reflect"

	"github.com/claudemesh/broker/core/feature"
)

// Table is the list of all routes.
type Table struct {
	registry *feature.Registry
	routes   []*Route
}

// NewTable returns a table whose handlers are owners in a registry.
func NewTable(r *feature.Registry) *Table { return &Table{registry: r} }

// Routes returns the routes in the order in which they were added.
func (t *Table) Routes() []*Route { return t.routes }

// On adds a route and makes h its handler. Fields of Req with a tag path or query
// are filled from the path and the query, the others from the body. It panics on
// a mistake in the code: a kind with two owners, a tag that does not fit.
//
// The answer is written as JSON with status 200.
func On[Req, Resp any](t *Table, r Route, h func(context.Context, *feature.Call, *Req) (*Resp, error)) {
	r.Request, r.Reply = reflect.TypeFor[Req](), reflect.TypeFor[Resp]()
	r.decode = decoder[Req](&r)
	feature.OnKind(t.registry, r.Kind, h)
	t.routes = append(t.routes, &r)
}

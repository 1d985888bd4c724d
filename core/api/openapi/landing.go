package openapi

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/claudemesh/broker/core/api/landing"
)

// htmlForm is the content type of pages, without its parameters.
const htmlForm = "text/html"

// landings adds the pages for who opens an invite in a browser. One that shares
// its pattern with a route is a second form of what the route answers.
func (b *builder) landings(doc *openapi3.T) {
	for _, pattern := range slices.Sorted(maps.Keys(landing.Handlers(nil, nil))) {
		method, at, _ := strings.Cut(pattern, " ")
		item := doc.Paths.Value(at)
		if item == nil || item.GetOperation(method) == nil {
			b.tag(&doc.Tags, groupPages)
			add(doc.Paths, method, at, b.landing(at))
			continue
		}
		for _, status := range []string{"200", "404"} {
			if res := item.GetOperation(method).Responses.Value(status); res != nil && res.Ref == "" {
				res.Value.Content[htmlForm] = openapi3.NewMediaType().WithSchema(openapi3.NewStringSchema())
			}
		}
	}
}

// landing describes a page that is no route's.
func (b *builder) landing(at string) *openapi3.Operation {
	_, names := pathOf(at)
	o := b.beside(beside{
		method: http.MethodGet, path: at, group: groupPages, id: operationID("page.join"),
		summary: "Shows how to join with an invite", meaning: "Anybody.",
		answers: []answer{
			{status: "200", meaning: "The page.", form: htmlForm},
			{status: "404", meaning: "The page that says that the link is not whole.", form: htmlForm},
		},
	})
	for _, name := range names {
		o.Parameters = append(o.Parameters, &openapi3.ParameterRef{Value: &openapi3.Parameter{
			Name: name, In: openapi3.ParameterInPath, Required: true, Description: "the invite's token",
			Schema: ref(&openapi3.Schema{Type: &openapi3.Types{"string"}}),
		}})
	}
	return o
}

package app_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/claudemesh/broker/core/api"
	"github.com/claudemesh/broker/core/api/openapi"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/identity"
)

// proving is a way in which callers of routes may prove themselves.
type proving struct {
	name   string
	header func(method, target, body string) http.Header
	fields map[string]any // beside those that the body needs

	// documented reports whether a route's documentation takes it.
	documented func(*api.Route, *openapi3.Operation) bool
}

// needs reports whether an operation lists a security scheme, "" for none.
func needs(o *openapi3.Operation, scheme string) bool {
	return slices.ContainsFunc(*o.Security, func(r openapi3.SecurityRequirement) bool {
		_, listed := r[scheme]
		return listed || scheme == "" && len(r) == 0
	})
}

// fromElsewhere is the header of a call that came through a proxy.
func fromElsewhere() http.Header { return http.Header{"X-Forwarded-For": {"192.0.2.1"}} }

// TestCredentialsAreAsDocumented asks each route with each kind of credential. A
// route takes those that its documentation lists, and says of others that a
// credential is missing.
func TestCredentialsAreAsDocumented(t *testing.T) {
	c := newCrew(t, legacyOn)
	cy := c.ids["cy"]
	listed := func(scheme string) func(*api.Route, *openapi3.Operation) bool {
		return func(_ *api.Route, o *openapi3.Operation) bool { return needs(o, scheme) }
	}
	wants := func(p api.Proofs) func(*api.Route, *openapi3.Operation) bool {
		return func(r *api.Route, _ *openapi3.Operation) bool { return r.Wants&p != 0 }
	}
	none := func(string, string, string) http.Header { return fromElsewhere() }
	ways := []proving{
		{"nothing", none, nil, func(*api.Route, *openapi3.Operation) bool { return false }},
		{"a token", func(string, string, string) http.Header {
			return http.Header{"Authorization": {"Bearer " + c.tokens["bo"]}}
		}, nil, listed("bearer")},
		{"a signature", func(method, target, body string) http.Header {
			return http.Header{"Authorization": {identity.SignHTTP(cy.Key, method, target, cy.MeshID, []byte(body), time.Now())}}
		}, nil, listed("member")},
		{"a code", none, map[string]any{"code": "XXXX-XXXX-XXXX"}, wants(api.ByCode)},
		{"a call from the broker's machine", func(string, string, string) http.Header { return http.Header{} }, nil, wants(api.ByPlace)},
		{"an account's name", none, map[string]any{"user_id": "bo"}, func(r *api.Route, _ *openapi3.Operation) bool { return r.Legacy }},
	}
	for _, r := range c.app.Routes() {
		o := c.operationOf(r)
		asks := slices.Contains(codesOf(o, "401"), string(feature.ReasonNoBearer))
		if asks == (r.Access == feature.Anyone || r.Access == feature.AnyoneKnown && r.Wants == 0) {
			t.Errorf("%s: documents missing_bearer_token: %v, which does not fit whom it takes", r.Pattern(), asks)
		}
		for _, way := range ways {
			target, body := c.request(r, o, way.fields)
			status, answer, _ := c.askRaw(r.Method, target, way.header(r.Method, target, body), body)
			missing := status == http.StatusUnauthorized && strings.Contains(string(answer), `"code":"missing_bearer_token"`)
			if want := asks && !way.documented(r, o); missing != want {
				t.Errorf("%s with %s: got %d %s; documented: %v", r.Pattern(), way.name, status, answer, !want)
			}
		}
	}
}

// operationOf returns what documents a route.
func (c *crew) operationOf(r *api.Route) *openapi3.Operation {
	c.t.Helper()
	doc, err := openapi.Document([]*api.Route{r})
	if err != nil {
		c.t.Fatal(err)
	}
	return doc.Paths.Value(r.Path).GetOperation(r.Method)
}

// codesOf returns the codes of an operation's refusals with a status.
func codesOf(o *openapi3.Operation, status string) []string {
	res := o.Responses.Value(status)
	if res == nil {
		return nil
	}
	codes, _ := res.Value.Extensions["x-codes"].([]string)
	return codes
}

// request makes the smallest request of a route that is valid as its
// documentation goes, in the crew's mesh. What it asks for is nothing that is
// there.
func (c *crew) request(r *api.Route, o *openapi3.Operation, more map[string]any) (target, body string) {
	c.t.Helper()
	target = r.Path
	query := url.Values{}
	for _, p := range o.Parameters {
		if p.Value.In == openapi3.ParameterInQuery && p.Value.Name == "mesh" {
			query.Set("mesh", c.mesh.ID)
		}
		value := "nothing"
		if p.Value.Name == "slug" || strings.HasPrefix(r.Path, "/mesh/{id}") && p.Value.Name == "id" {
			value = c.mesh.ID
		}
		target = strings.ReplaceAll(target, "{"+p.Value.Name+"}", value)
	}
	if o.RequestBody == nil {
		if user, named := more["user_id"].(string); named {
			query.Set("user_id", user)
		}
	}
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	if o.RequestBody == nil {
		return target, ""
	}
	value := smallest(o.RequestBody.Value.Content.Get("application/json").Schema.Value)
	if tree, ok := value.(map[string]any); ok {
		maps.Copy(tree, more)
	}
	return target, flawJSON(value)
}

// smallest returns a value of a schema with nothing in it that may be left out.
func smallest(s *openapi3.Schema) any {
	switch {
	case len(s.AllOf) == 1:
		return smallest(s.AllOf[0].Value)
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Type.Is("object"):
		o := map[string]any{}
		for _, name := range s.Required {
			o[name] = smallest(s.Properties[name].Value)
		}
		return o
	case s.Type.Is("array"):
		return []any{}
	case s.Type.Is("boolean"):
		return false
	case s.Type.Is("string"):
		return "x"
	default:
		return 1
	}
}

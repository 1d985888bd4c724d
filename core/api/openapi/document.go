package openapi

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/claudemesh/broker/core/api"
)

const about = `What the broker answers over HTTP. [http.md](http.md) is the same for people.

A path that nobody has is answered 404 with the code ` + "`not_found`" + `, a path that has other methods 405 with the code
` + "`method_not_allowed`" + ` and an ` + "`Allow`" + ` header. GET routes answer HEAD too, and every path answers OPTIONS. A
browser's question before a page's request is answered 204 for the origins of http.cors_origins. Every answer carries
` + "`X-Request-Id`" + `: the caller's own where it is short and plain.

A body is one JSON object whatever its Content-Type says: names are case-sensitive and come only once, unknown names are
ignored, and null is the same as leaving a field out unless a field says that it may be null. Limits of texts are in bytes
of UTF-8. A refusal is always an Error; a stage that an operator has added may refuse any request, by default with 403.`

// Document describes routes, those that the server has beside the table among
// them. It does not change them.
func Document(routes []*api.Route) (*openapi3.T, error) {
	b := &builder{schemas: newSchemas(), responses: openapi3.ResponseBodies{}}
	doc := &openapi3.T{
		OpenAPI: "3.0.3",
		Info: &openapi3.Info{
			Title: "Mesh broker", Version: "1", Description: about,
			License: &openapi3.License{Name: "Apache-2.0", URL: "https://www.apache.org/licenses/LICENSE-2.0"},
		},
		Servers: openapi3.Servers{{
			URL: "http://127.0.0.1:7900", Description: "a broker on this machine; through a proxy it is served at the root of a host",
		}},
		Paths: openapi3.NewPaths(),
	}
	for _, r := range routes {
		b.tag(&doc.Tags, r.Group)
		add(doc.Paths, r.Method, r.Path, b.operation(r))
	}
	for _, o := range besides() {
		b.tag(&doc.Tags, o.group)
		add(doc.Paths, o.method, o.path, b.beside(o))
	}
	b.landings(doc)
	doc.Components = b.components()
	if err := openapi3.NewLoader().ResolveRefsIn(doc, nil); err != nil {
		return nil, fmt.Errorf("describe: %w", err)
	}
	return doc, nil
}

// builder makes a document.
type builder struct {
	schemas   *schemas
	responses openapi3.ResponseBodies // that operations have in common
}

// tag adds a group where it is new.
func (*builder) tag(tags *openapi3.Tags, group string) {
	if tags.Get(group) == nil {
		*tags = append(*tags, &openapi3.Tag{Name: group})
	}
}

// wildcard is a part of a pattern of [http.ServeMux] that stands for anything.
var wildcard = regexp.MustCompile(`\{(\w+)(?:\.\.\.)?\}`)

// pathOf returns the path of a pattern as OpenAPI writes it, and the names in it.
func pathOf(pattern string) (path string, names []string) {
	path = strings.TrimSuffix(pattern, "{$}")
	for _, m := range wildcard.FindAllStringSubmatch(path, -1) {
		names = append(names, m[1])
	}
	return wildcard.ReplaceAllString(path, "{$1}"), names
}

// add adds an operation to a path.
func add(paths *openapi3.Paths, method, pattern string, o *openapi3.Operation) {
	path, _ := pathOf(pattern)
	item := paths.Value(path)
	if item == nil {
		item = &openapi3.PathItem{}
		paths.Set(path, item)
	}
	item.SetOperation(method, o)
}

// operationID makes a name for generated clients of a kind, such as meshCreate of
// http.mesh.create.
func operationID(kind string) string {
	words := strings.FieldsFunc(strings.TrimPrefix(kind, "http."), func(r rune) bool { return r == '.' || r == '_' || r == '-' })
	for i, w := range words[1:] {
		words[i+1] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, "")
}

// sentence makes a summary a sentence.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// components are what operations refer to.
func (b *builder) components() *openapi3.Components {
	return &openapi3.Components{
		Schemas:   b.schemas.all,
		Responses: b.responses,
		Headers: openapi3.Headers{
			headerRequest:     header("id by which the request is found in the broker's log: the caller's own where that is short and plain", "string"),
			headerRetry:       header("whole seconds to wait before the next attempt", "integer"),
			headerChallenge:   header("how to prove oneself", "string"),
			headerDeprecation: header("set when legacy-auth has let the caller in, with the date on which that ends", "string"),
			headerWarning:     header("set when legacy-auth has let the caller in", "string"),
		},
		SecuritySchemes: openapi3.SecuritySchemes{
			schemeBearer: &openapi3.SecuritySchemeRef{Value: &openapi3.SecurityScheme{
				Type: "http", Scheme: "bearer", BearerFormat: "JWT",
				Description: "token of an account, from a sign-in, from /cli/token or from the broker's command line",
			}},
			schemeMember: &openapi3.SecuritySchemeRef{Value: &openapi3.SecurityScheme{
				Type: "apiKey", In: "header", Name: "Authorization",
				Description: "signature of a member's ed25519 key over this one request, good for a minute, and once unless it only reads: " +
					"`Mesh-Member mesh=\"<mesh id, not its slug>\", key=\"<64 hex>\", ts=\"<Unix ms>\", sig=\"<128 hex>\"`. What is signed is " +
					"`claudemesh-http-v1|<method>|<target>|<mesh id>|<key>|<ts>|<hex SHA-256 of the body>`",
			}},
		},
	}
}

// Names of components.
const (
	headerRequest     = "X-Request-Id"
	headerRetry       = "Retry-After"
	headerChallenge   = "WWW-Authenticate"
	headerDeprecation = "Deprecation"
	headerWarning     = "Warning"

	schemeBearer = "bearer"
	schemeMember = "member"
)

func header(meaning, typ string) *openapi3.HeaderRef {
	return &openapi3.HeaderRef{Value: &openapi3.Header{Parameter: openapi3.Parameter{
		Description: meaning, Schema: openapi3.NewSchemaRef("", &openapi3.Schema{Type: &openapi3.Types{typ}}),
	}}}
}

func headerRef(name string) *openapi3.HeaderRef {
	return &openapi3.HeaderRef{Ref: "#/components/headers/" + name}
}

// hasBody reports whether requests of a method carry a body.
func hasBody(r *api.Route) bool { return r.Body != api.BodyNone && r.Method != http.MethodGet }

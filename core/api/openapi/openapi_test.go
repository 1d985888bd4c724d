package openapi_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/api"
	"github.com/claudemesh/broker/core/api/openapi"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/feature"
)

var update = flag.Bool("update", false, "write the documentation that is made from the route table")

const refresh = "refresh it with go test ./core/api/openapi -update"

// routes returns the table of a broker with the default config.
func routes() []*api.Route {
	return api.All(feature.All(feature.Deps{}), api.Deps{Config: config.Default().HTTP}).Routes()
}

func document(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi.Document(routes())
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestDocumentation(t *testing.T) {
	doc := document(t)
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatalf("it is no OpenAPI document: %v", err)
	}
	want, err := openapi.YAML(doc)
	if err != nil {
		t.Fatal(err)
	}
	const path = "../../../docs/openapi.yaml"
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: %s", err, refresh)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("it is not what the code says: %s\n%s", refresh, cmp.Diff(string(got), string(want)))
	}
	wantSame(t, path, doc)
}

// wantSame holds that others read from the file what was meant.
func wantSame(t *testing.T, path string, doc *openapi3.T) {
	t.Helper()
	read, err := openapi3.NewLoader().LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := read.Validate(t.Context()); err != nil {
		t.Errorf("the file is no OpenAPI document: %v", err)
	}
	if diff := cmp.Diff(plain(t, doc), plain(t, read)); diff != "" {
		t.Errorf("the file says something else (-want +got):\n%s", diff)
	}
}

func plain(t *testing.T, doc *openapi3.T) (v any) {
	t.Helper()
	b, err := doc.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestEveryRouteIsDescribed holds the table to what the document needs.
func TestEveryRouteIsDescribed(t *testing.T) {
	doc := document(t)
	kinds := map[string]bool{}
	for _, r := range routes() {
		if r.Summary == "" || r.Group == "" || strings.HasSuffix(r.Summary, ".") {
			t.Errorf("%s: wants a summary without a full stop, and a group", r.Pattern())
		}
		if !strings.HasPrefix(string(r.Kind), "http.") && r.Path != "/join" || kinds[string(r.Kind)] {
			t.Errorf("%s: the kind %s is not http.… or another route's", r.Pattern(), r.Kind)
		}
		kinds[string(r.Kind)] = true
	}
	for name, schema := range doc.Components.Schemas {
		if strings.HasPrefix(name, "InviteV1") || strings.HasPrefix(name, "Policy") { // theirs is said where they are used
			continue
		}
		for field, s := range schema.Value.Properties {
			if s.Value.Description == "" {
				t.Errorf("%s.%s has no doc tag", name, field)
			}
		}
	}
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			for _, p := range o.Parameters {
				if p.Value.Description == "" {
					t.Errorf("%s %s: %s has no doc tag", method, path, p.Value.Name)
				}
			}
		}
	}
}

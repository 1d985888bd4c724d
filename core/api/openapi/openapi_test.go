package openapi_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/api"
	"github.com/claudemesh/broker/core/api/openapi"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/identity"
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
		if strings.HasPrefix(name, "Policy") { // theirs is said where they are used
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

func TestPageDocumentation(t *testing.T) {
	const path = "../../../docs/http.md"
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := openapi.Fill(string(got), routes())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(got), want); diff != "" {
		t.Errorf("it is not what the code says: %s\n%s", refresh, diff)
	}
}

// TestPageSignature checks the signed request of the page with nothing but what
// the page says.
func TestPageSignature(t *testing.T) {
	page, err := os.ReadFile("../../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	line := func(pattern string) string {
		m := regexp.MustCompile(`(?m)^` + pattern + `$`).FindSubmatch(page)
		if m == nil {
			t.Fatalf("the page has no line %s", pattern)
		}
		return string(m[1])
	}
	seed, err := hex.DecodeString(line(`secret  (\w+)`))
	if err != nil {
		t.Fatal(err)
	}
	body, signed, header := line(`body    (.*)`), line(`signed  (.*)`), line(`Authorization: (Mesh-Member .*)`)
	secret := ed25519.NewKeyFromSeed(seed)
	key := hex.EncodeToString(secret.Public().(ed25519.PublicKey))
	hash := sha256.Sum256([]byte(body))
	want := strings.Join([]string{
		"claudemesh-http-v1", "POST", "/cli/mesh/home/grants", "Xk3vQ9cT", key, "1776254400000", hex.EncodeToString(hash[:]),
	}, "|")
	if signed != want || line(`key     (.*)`) != key {
		t.Errorf("got\n%s, want\n%s", signed, want)
	}
	sig := hex.EncodeToString(ed25519.Sign(secret, []byte(want)))
	if want := `Mesh-Member mesh="Xk3vQ9cT", key="` + key + `", ts="1776254400000", sig="` + sig + `"`; header != want {
		t.Errorf("got\n%s, want\n%s", header, want)
	}
	proof, ok := identity.ParseHTTPProof(header)
	if r := identity.CheckHTTP(proof, "POST", "/cli/mesh/home/grants", hash, time.UnixMilli(1776254400000)); !ok || !r.OK() {
		t.Errorf("the broker does not take it: %v", r)
	}
}

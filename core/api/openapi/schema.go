package openapi

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// side says where a type is used: a request may leave fields out that an answer
// always has.
type side bool

const (
	asked    side = false
	answered side = true
)

// use is a type on one side.
type use struct {
	typ  reflect.Type
	side side
}

// schemas are the schemas of types, each under a name.
type schemas struct {
	all   openapi3.Schemas
	names map[use]string
}

// errorSchema is the name of the one shape of refusals.
const errorSchema = "Error"

func newSchemas() *schemas {
	return &schemas{names: map[use]string{}, all: openapi3.Schemas{errorSchema: ref(&openapi3.Schema{
		Type: &openapi3.Types{"object"}, Description: "why a request was refused",
		Required: []string{"ok", "error", "code", "request_id"},
		Properties: openapi3.Schemas{
			"ok":         ref(&openapi3.Schema{Type: &openapi3.Types{"boolean"}, Enum: []any{false}, Description: "false"}),
			"error":      ref(text("for people: what is wrong and what to do. Some routes have the code here, which their clients look for")),
			"code":       ref(text("for programs: a word of errors.md; a stage that an operator has added may have others")),
			"detail":     ref(text("for people, where the error is the code")),
			"found":      ref(&openapi3.Schema{Type: &openapi3.Types{"boolean"}, Enum: []any{false}, Description: "false, on routes whose answer has it"}),
			"request_id": ref(text("id by which the request is found in the broker's log")),
		},
	})}}
}

func ref(s *openapi3.Schema) *openapi3.SchemaRef { return openapi3.NewSchemaRef("", s) }

func text(meaning string) *openapi3.Schema {
	return &openapi3.Schema{Type: &openapi3.Types{"string"}, Description: meaning}
}

// of returns the schema of a type. Structs become components that it refers to.
func (s *schemas) of(t reflect.Type, on side) *openapi3.SchemaRef {
	if known := special(t, on); known != nil {
		return ref(known)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return nullable(s.of(t.Elem(), on))
	case reflect.Bool:
		return ref(&openapi3.Schema{Type: &openapi3.Types{"boolean"}})
	case reflect.String:
		return ref(&openapi3.Schema{Type: &openapi3.Types{"string"}})
	case reflect.Int, reflect.Int64:
		return ref(&openapi3.Schema{Type: &openapi3.Types{"integer"}, Format: "int64"})
	case reflect.Uint8, reflect.Uint64, reflect.Int32, reflect.Uint32:
		return ref(&openapi3.Schema{Type: &openapi3.Types{"integer"}})
	case reflect.Float64:
		return ref(&openapi3.Schema{Type: &openapi3.Types{"number"}})
	case reflect.Slice:
		return ref(&openapi3.Schema{Type: &openapi3.Types{"array"}, Items: s.of(t.Elem(), on)})
	case reflect.Map:
		return ref(&openapi3.Schema{Type: &openapi3.Types{"object"}, AdditionalProperties: openapi3.AdditionalProperties{Schema: s.of(t.Elem(), on)}})
	case reflect.Interface:
		return ref(&openapi3.Schema{})
	case reflect.Struct:
		return s.named(t, on)
	default:
		panic("openapi: no schema for " + t.String())
	}
}

// special returns the schemas of types with a JSON form of their own, nil for
// others.
func special(t reflect.Type, on side) *openapi3.Schema {
	switch t {
	case reflect.TypeFor[sdk.Key]():
		pattern := "^[0-9a-fA-F]{64}$"
		if on == answered {
			pattern = "^[0-9a-f]{64}$"
		}
		return &openapi3.Schema{Type: &openapi3.Types{"string"}, Pattern: pattern}
	case reflect.TypeFor[time.Time]():
		return &openapi3.Schema{Type: &openapi3.Types{"string"}, Format: "date-time"}
	case reflect.TypeFor[jsontext.Value]():
		return &openapi3.Schema{}
	case reflect.TypeFor[map[store.Permission]*bool]():
		return permissions(true)
	case reflect.TypeFor[map[store.Permission]bool]():
		return permissions(false)
	case reflect.TypeFor[store.Role]():
		return &openapi3.Schema{Type: &openapi3.Types{"string"}, Enum: []any{string(store.RoleAdmin), string(store.RoleMember)}}
	default:
		return nil
	}
}

// permissions describes an object with permissions by their names. A change takes
// null too, any of them may be left out of it, and others are refused.
func permissions(change bool) *openapi3.Schema {
	s := &openapi3.Schema{Type: &openapi3.Types{"object"}, Properties: openapi3.Schemas{}}
	if change {
		s.AdditionalProperties.Has = new(bool)
	}
	for _, p := range store.AllPermissions() {
		s.Properties[string(p)] = ref(&openapi3.Schema{Type: &openapi3.Types{"boolean"}, Nullable: change})
		if !change {
			s.Required = append(s.Required, string(p))
		}
	}
	return s
}

// capabilities makes the texts inside a schema those of capabilities.
func capabilities(s *openapi3.Schema) {
	switch {
	case s.Type.Is("object"):
		capabilities(s.AdditionalProperties.Schema.Value)
	case s.Type.Is("array"):
		capabilities(s.Items.Value)
	default:
		for _, c := range feature.AllCapabilities() {
			s.Enum = append(s.Enum, string(c))
		}
	}
}

// nullable returns a schema that takes null too.
func nullable(r *openapi3.SchemaRef) *openapi3.SchemaRef {
	if r.Ref != "" {
		return ref(&openapi3.Schema{Nullable: true, AllOf: openapi3.SchemaRefs{r}})
	}
	s := *r.Value
	s.Nullable = true
	return ref(&s)
}

// named returns a reference to the schema of a struct.
func (s *schemas) named(t reflect.Type, on side) *openapi3.SchemaRef {
	if value, ok := patched(t); ok {
		return nullable(s.of(value, on))
	}
	u := use{t, on}
	name, ok := s.names[u]
	if !ok {
		name = s.free(u)
		s.names[u] = name
		schema := &openapi3.Schema{Type: &openapi3.Types{"object"}, Properties: openapi3.Schemas{}}
		s.all[name] = ref(schema)
		s.fields(schema, t, on)
	}
	return &openapi3.SchemaRef{Ref: "#/components/schemas/" + name, Value: s.all[name].Value}
}

// free returns a name that no other type has.
func (s *schemas) free(u use) string {
	pkg := u.typ.PkgPath()[strings.LastIndexByte(u.typ.PkgPath(), '/')+1:]
	base := sentence(u.typ.Name())
	for _, name := range []string{base, base + "Request", sentence(pkg) + base, sentence(pkg) + base + "Request"} {
		if _, taken := s.all[name]; !taken && (name != base+"Request" || u.side == asked) {
			return name
		}
	}
	panic("openapi: two types are called " + u.typ.String())
}

// patched returns what a wire.Patch patches.
func patched(t reflect.Type) (reflect.Type, bool) {
	if !strings.HasPrefix(t.Name(), "Patch[") {
		return nil, false
	}
	value, ok := t.FieldByName("Value")
	return value.Type.Elem(), ok
}

// fields describes the fields of a struct.
func (s *schemas) fields(schema *openapi3.Schema, t reflect.Type, on side) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case f.Anonymous && name == "":
			s.fields(schema, f.Type, on)
		case name == "" || !f.IsExported():
		default:
			optional := strings.Contains(options, "omit")
			schema.Properties[name] = s.field(f, on, optional)
			if on == answered && !optional || f.Tag.Get("required") == "true" || f.Tag.Get("needed") == "true" {
				schema.Required = append(schema.Required, name)
			}
		}
	}
}

// field describes one field.
func (s *schemas) field(f reflect.StructField, on side, optional bool) *openapi3.SchemaRef {
	t := f.Type
	if t.Kind() == reflect.Pointer && (optional || on == asked) {
		t = t.Elem() // left out where it would be null
	}
	r := s.of(t, on)
	meaning := f.Tag.Get("doc")
	if r.Ref != "" {
		if meaning == "" {
			return r
		}
		return ref(&openapi3.Schema{Description: meaning, AllOf: openapi3.SchemaRefs{r}})
	}
	schema := r.Value
	schema.Description = meaning
	limit(schema, f.Tag)
	if form := f.Tag.Get("form"); form != "" {
		schema.Type = &openapi3.Types{form}
	}
	if f.Tag.Get("words") == "capabilities" {
		capabilities(schema)
	}
	if f.Tag.Get("rule") == "group" {
		schema.MinLength = 1
	}
	if enum := f.Tag.Get("enum"); enum != "" {
		schema.Enum = nil
		for word := range strings.SplitSeq(enum, ",") {
			schema.Enum = append(schema.Enum, word)
		}
		if schema.Nullable {
			schema.Enum = append(schema.Enum, nil)
		}
	}
	return r
}

// limit adds the limits of a field's tags. Those of texts are in bytes, so that
// a text of as many characters may still be too long.
func limit(schema *openapi3.Schema, tag reflect.StructTag) {
	most, each := number(tag.Get("max")), number(tag.Get("each"))
	switch {
	case schema.Type.Is("array"):
		schema.MaxItems = most
		if each != nil && schema.Items.Value != nil {
			schema.Items.Value.MaxLength = each
		}
	case schema.Type.Is("string"):
		schema.MaxLength = most
	}
}

func number(tag string) *uint64 {
	if tag == "" {
		return nil
	}
	n, err := strconv.ParseUint(tag, 10, 64)
	if err != nil {
		panic(fmt.Sprintf("openapi: the tag %q is no number", tag))
	}
	return &n
}

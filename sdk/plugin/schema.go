package plugin

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"
)

// durationPattern accepts what time.ParseDuration reads.
const durationPattern = `^[+-]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`

// schemaOf returns the JSON Schema of options, with the defaults in it, or
// nothing for a struct without fields.
func schemaOf(defaults any) []byte {
	t := reflect.TypeOf(defaults)
	if len(fieldsOf(t)) == 0 {
		return nil
	}
	r := jsonschema.Reflector{
		Anonymous:                  true, // an address of ours would lead nowhere
		ExpandedStruct:             true,
		RequiredFromJSONSchemaTags: true, // what is left out keeps its default
		Mapper:                     textSchema,
		LookupComment:              docTag,
	}
	schema := r.ReflectFromType(t)
	var values map[string]json.RawMessage
	if err := json.Unmarshal(encode(defaults), &values); err != nil {
		panic(fmt.Sprintf("plugin: defaults of type %T: %v", defaults, err))
	}
	for p := schema.Properties.Oldest(); p != nil; p = p.Next() {
		if value := values[p.Key]; len(value) > 0 && p.Value.Ref == "" && string(value) != "null" {
			p.Value.Default = value
		}
	}
	text, err := json.Marshal(schema)
	if err != nil {
		panic(fmt.Sprintf("plugin: schema of %T: %v", defaults, err))
	}
	return text
}

// textSchema is the schema of types that are written as a text.
func textSchema(t reflect.Type) *jsonschema.Schema {
	switch {
	case t == reflect.TypeFor[Duration]():
		return &jsonschema.Schema{Type: "string", Pattern: durationPattern, Examples: []any{"50ms", "1h30m"}}
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) &&
		!reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()):
		return &jsonschema.Schema{Type: "string"}
	}
	return nil
}

// docTag returns a field's doc tag.
func docTag(t reflect.Type, field string) string {
	if field == "" || t.Kind() != reflect.Struct {
		return ""
	}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Name == field || name == field {
			return f.Tag.Get("doc")
		}
	}
	return ""
}

package wire

import (
	"reflect"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/sdk"
)

// want says in an error what a field should have been.
func (f *field) want() string {
	if f.enum != nil {
		return "want " + choices(f.enum)
	}
	return wantType(f.typ)
}

// choices lists texts as "a", "b" or "c".
func choices(texts []string) string {
	var b strings.Builder
	for i, text := range texts {
		switch {
		case i > 0 && i == len(texts)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(`"` + text + `"`)
	}
	return b.String()
}

// wantType describes the JSON of a Go type to somebody who sees only JSON.
func wantType(t reflect.Type) string {
	switch t = inner(t); t {
	case reflect.TypeFor[Group]():
		return `want an object like {"name":"ops","role":"lead"}`
	case reflect.TypeFor[[]Group]():
		return `want a list like [{"name":"ops","role":"lead"}]`
	case reflect.TypeFor[sdk.Key](), reflect.TypeFor[Origin]():
		return "want a key of 64 hex digits"
	case reflect.TypeFor[time.Time]():
		return `want a time like "2026-01-02T15:04:05.000Z"`
	case reflect.TypeFor[jsontext.Value]():
		return "want a JSON value"
	}
	return wantKind(t)
}

func wantKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "want a string"
	case reflect.Bool:
		return "want true or false"
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "want a whole number"
	case reflect.Float64:
		return "want a number"
	case reflect.Slice:
		return "want a list"
	case reflect.Struct, reflect.Map:
		return "want an object"
	default:
		return "want another value"
	}
}

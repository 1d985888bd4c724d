package feature

import (
	"reflect"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// fieldRow is one line of a table of fields.
type fieldRow struct{ name, form, given, meaning string }

// fieldRows describes the fields of a frame, those of objects inside it with
// their path.
func fieldRows(t reflect.Type, path string, request bool) []fieldRow {
	var rows []fieldRow
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		rows = append(rows, fieldRow{
			name: path + name, form: form(f, options != ""), given: given(f, options != "", request), meaning: f.Tag.Get("doc"),
		})
		if inner, suffix := object(f.Type); inner != nil {
			rows = append(rows, fieldRows(inner, path+name+suffix, request)...)
		}
	}
	return rows
}

func given(f reflect.StructField, omitted, request bool) string {
	switch {
	case !request && omitted:
		return "if it applies"
	case !request:
		return "always"
	case f.Tag.Get("required") == "true":
		return "required"
	case omitted:
		return "optional"
	default:
		return "usual"
	}
}

// object returns the struct whose fields are listed with a field, and what
// stands between their names.
func object(t reflect.Type) (inner reflect.Type, separator string) {
	switch t.Kind() {
	case reflect.Pointer:
		return object(t.Elem())
	case reflect.Slice:
		if inner, _ := object(t.Elem()); inner != nil {
			return inner, "[]."
		}
	case reflect.Struct:
		if t.PkgPath() == reflect.TypeFor[wire.Error]().PkgPath() && patched(t) == nil {
			return t, "."
		}
	default: // a plain value
	}
	return nil, ""
}

// patched returns what a [wire.Patch] patches, nil for other types.
func patched(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Struct && strings.HasPrefix(t.Name(), "Patch[") {
		value, _ := t.FieldByName("Value")
		return value.Type.Elem()
	}
	return nil
}

// form says what a field's JSON looks like, with its limits.
func form(f reflect.StructField, omitted bool) string {
	t, null := f.Type, f.Type.Kind() == reflect.Pointer && !omitted
	if p := patched(t); p != nil {
		t, null = p, true
	}
	text := kind(t)
	if enum := f.Tag.Get("enum"); enum != "" {
		text = "`" + strings.ReplaceAll(enum, ",", "`, `") + "`"
	}
	if f.Tag.Get("rule") == "group" {
		text = "group name"
	}
	if null {
		text += " or null"
	}
	return text + limits(f.Tag, t)
}

func limits(tag reflect.StructTag, t reflect.Type) string {
	most, each := tag.Get("max"), tag.Get("each")
	unit := " bytes"
	if t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8 {
		unit = " entries"
	}
	text := ""
	if most != "" {
		text = ", at most " + most + unit
	}
	if each != "" {
		text += " of " + each + " bytes"
	}
	return text
}

// kind names the JSON of a Go type.
func kind(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[sdk.Key]():
		return "key"
	case reflect.TypeFor[wire.Origin]():
		return "key, `system` or empty"
	case reflect.TypeFor[time.Time]():
		return "time"
	case reflect.TypeFor[jsontext.Value]():
		return "JSON"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return kind(t.Elem())
	case reflect.Slice:
		return "list of " + plural(t.Elem())
	case reflect.Bool:
		return "boolean"
	case reflect.Int64, reflect.Uint8:
		return "whole number"
	case reflect.Float64:
		return "number"
	case reflect.Struct, reflect.Map:
		return "object"
	default:
		return "text"
	}
}

func plural(t reflect.Type) string {
	if k := kind(t); k != "JSON" {
		return k + "s"
	}
	return "JSON values"
}

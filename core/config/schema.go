package config

import (
	"encoding"
	"iter"
	"reflect"
	"strings"
	"time"
)

// field is what the tags of a struct field say.
type field struct {
	name  string
	doc   string
	limit string // "smallest..largest", either may be missing
	one   []string
	typ   reflect.Type
	index int
}

// fieldsOf reads the tags of struct type t. A field without a koanf tag is none
// of the operator's business.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("koanf"), ",")
		if name == "" || name == "-" || !f.IsExported() {
			continue
		}
		found := field{name: name, doc: f.Tag.Get("doc"), limit: f.Tag.Get("limit"), typ: f.Type, index: i}
		if one := f.Tag.Get("one"); one != "" {
			found.one = strings.Split(one, "|")
		}
		fields = append(fields, found)
	}
	return fields
}

func names(fields []field) []string {
	names := make([]string, len(fields))
	for i := range fields {
		names[i] = fields[i].name
	}
	return names
}

// leaves yields every key below struct type t that takes a value, such as
// limits.window; a list counts as one value.
func leaves(t reflect.Type) iter.Seq2[string, field] {
	return func(yield func(string, field) bool) { walk(t, "", yield) }
}

func walk(t reflect.Type, key string, yield func(string, field) bool) bool {
	for _, f := range fieldsOf(t) {
		below := join(key, f.name)
		if isSection(f.typ) {
			if !walk(f.typ, below, yield) {
				return false
			}
		} else if !yield(below, f) {
			return false
		}
	}
	return true
}

// lookup returns the field behind a key of t, if the key takes a value.
func lookup(t reflect.Type, key string) (field, bool) {
	for k, f := range leaves(t) {
		if k == key {
			return f, true
		}
	}
	return field{}, false
}

// isSection reports whether t is a struct that is written as a section, and not
// one that is written as a text.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !readsText(t)
}

// readsText reports whether a *t reads itself from text.
func readsText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// wanted says what belongs into a field, for an error.
func wanted(f field) string {
	switch name := typeName(f); name {
	case "word":
		return either(f.one)
	case "text", "secret":
		return "text"
	case "true or false":
		return name
	default:
		return "a " + name
	}
}

// typeName says what to write for a type, for people.
func typeName(f field) string {
	t := f.typ
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t == reflect.TypeFor[Secret]():
		return "secret"
	case t == reflect.TypeFor[Rate]():
		return "rate"
	case t == reflect.TypeFor[Limit]():
		return "rate or off"
	case len(f.one) > 0 && t.Kind() == reflect.Slice:
		return "list of words"
	case len(f.one) > 0:
		return "word"
	case readsText(t):
		return "text"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.String:
		return "text"
	case reflect.Slice:
		if isSection(t.Elem()) {
			return "list of sections"
		}
		return "list of " + typeName(field{typ: t.Elem()})
	case reflect.Struct, reflect.Map:
		return "section"
	default:
		return "whole number"
	}
}

package logging

import (
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"strings"
)

// harmless is what every attribute passes before it is written.
//
// Secrets have types that do not print ([config.Secret] and others with a
// LogValue). What is left are doors that no type can close: bytes, which JSON
// writes in base64; what is inside of structs, where neither fmt nor JSON asks for
// a LogValue; and errors of others that repeat a URL with its password.
func harmless(a slog.Attr) slog.Attr {
	a.Value = a.Value.Resolve()
	switch a.Value.Kind() {
	case slog.KindString:
		if text := a.Value.String(); mayHavePassword(text) {
			a.Value = slog.StringValue(withoutPassword(text))
		}
	case slog.KindAny:
		a.Value = harmlessValue(a.Value)
	case slog.KindGroup:
		var safe []slog.Attr
		for _, each := range a.Value.Group() {
			safe = append(safe, harmless(each))
		}
		a.Value = slog.GroupValue(safe...)
	default: // numbers and times
	}
	return a
}

func harmlessValue(v slog.Value) slog.Value {
	switch x := v.Any().(type) {
	case nil, slog.Level:
		return v
	case error:
		return slog.StringValue(withoutPassword(fmt.Sprint(x))) // a nil pointer inside is no panic
	case encoding.TextMarshaler, json.Marshaler:
		return v
	case fmt.Stringer:
		return slog.StringValue(withoutPassword(fmt.Sprint(x)))
	default:
		return plain(x)
	}
}

// plain is a list or a map of numbers or texts, as JSON, and of anything else
// its type alone: bytes may be a key, and a struct may have a secret somewhere
// inside. What is worth a line has attributes, or a LogValue.
func plain(x any) slog.Value {
	t := reflect.TypeOf(x)
	switch t.Kind() {
	case reflect.Slice, reflect.Array, reflect.Map:
		if t.Elem().Kind() == reflect.Uint8 || !isSimple(t.Elem()) || t.Kind() == reflect.Map && !isSimple(t.Key()) {
			return slog.StringValue(fmt.Sprintf("(%T)", x))
		}
	default:
		if !isSimple(t) {
			return slog.StringValue(fmt.Sprintf("(%T)", x))
		}
	}
	text, err := json.Marshal(x)
	if err != nil { // NaN
		return slog.StringValue(fmt.Sprint(x))
	}
	return slog.AnyValue(object(withoutPassword(string(text))))
}

// isSimple reports whether a value is a number, a truth or a text, which types
// with a mask of their own are too: JSON asks those.
func isSimple(t reflect.Type) bool {
	return t.Kind() >= reflect.Bool && t.Kind() <= reflect.Float64 || t.Kind() == reflect.String
}

// object is JSON that is written as it is, in either format.
type object string

// MarshalJSON is for lines of JSON.
func (o object) MarshalJSON() ([]byte, error) { return []byte(o), nil }

// MarshalText is for lines of text.
func (o object) MarshalText() ([]byte, error) { return []byte(o), nil }

// password is user information with a password in a URL.
var password = regexp.MustCompile(`(://[^\s/?#@:"']*):[^\s/?#"']*@`)

func mayHavePassword(text string) bool {
	_, rest, found := strings.Cut(text, "://")
	return found && strings.Contains(rest, "@")
}

func withoutPassword(text string) string {
	if !mayHavePassword(text) {
		return text
	}
	return password.ReplaceAllString(text, "$1:***@")
}

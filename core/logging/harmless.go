package logging

import (
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"strings"
	"unicode"
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
	return slog.AnyValue(object(withoutPasswords(text)))
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

// password is what PostgreSQL's settings have in URLs and in "key=value": all to
// the next space is masked, because a password may have any character.
var password = regexp.MustCompile(`(?i)(password\s*=\s*)('(\\.|[^'\\])*'\S*|\S+)`)

// mayHavePassword is quick, and says no of nearly all lines.
func mayHavePassword(text string) bool {
	_, rest, found := strings.Cut(text, "://")
	return found && strings.Contains(rest, "@") || strings.Contains(text, "=") && password.MatchString(text)
}

// withoutPassword masks user information of URLs, whole, since a token may be all
// of it, and passwords in settings. It masks too much rather than too little:
// whatever stands between :// and the last @ before a space.
func withoutPassword(text string) string {
	if !mayHavePassword(text) {
		return text
	}
	parts := strings.Split(text, "://")
	for i, part := range parts[1:] {
		end := len(part)
		if space := strings.IndexFunc(part, unicode.IsSpace); space >= 0 {
			end = space
		}
		if at := strings.LastIndexByte(part[:end], '@'); at >= 0 {
			parts[i+1] = "***" + part[at:]
		}
	}
	return password.ReplaceAllString(strings.Join(parts, "://"), "$1***")
}

// withoutPasswords is for JSON: its texts are masked, and not what is between
// them.
func withoutPasswords(text []byte) []byte {
	if !mayHavePassword(string(text)) {
		return text
	}
	var v any
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return []byte(`"(a value that cannot be read)"`)
	}
	masked, err := json.Marshal(maskTexts(v))
	if err != nil {
		return []byte(`"(a value that cannot be written)"`)
	}
	return masked
}

func maskTexts(v any) any {
	switch x := v.(type) {
	case string:
		return withoutPassword(x)
	case []any:
		for i := range x {
			x[i] = maskTexts(x[i])
		}
	case map[string]any:
		masked := make(map[string]any, len(x))
		for name, each := range x {
			masked[withoutPassword(name)] = maskTexts(each)
		}
		return masked
	}
	return v
}

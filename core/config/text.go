package config

import (
	"encoding"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// text writes a value as one line of YAML. What it writes reads back as the
// same value, but for a [Secret], which stays masked.
func text(v reflect.Value) string {
	for v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return "null"
		}
		v = v.Elem()
	}
	switch x := v.Interface().(type) {
	case time.Duration:
		return duration(x)
	case encoding.TextMarshaler:
		b, err := x.MarshalText()
		if err != nil {
			return word("")
		}
		return word(string(b))
	}
	switch v.Kind() {
	case reflect.String:
		return word(v.String())
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Slice:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = text(v.Index(i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case reflect.Map:
		return table(v)
	case reflect.Struct:
		return structure(v)
	case reflect.Float32, reflect.Float64:
		return float(v.Float())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(v.Uint(), 10)
	default:
		return strconv.FormatInt(v.Int(), 10)
	}
}

// table writes a map with text keys. Nobody told us which of a stage's options
// are secrets, so we go by their names.
func table(v reflect.Value) string {
	byName := map[string]string{}
	for pairs := v.MapRange(); pairs.Next(); {
		name := pairs.Key().String()
		byName[name] = text(pairs.Value())
		if soundsSecret(name) && !nothing(pairs.Value()) {
			byName[name] = word(masked)
		}
	}
	items := make([]string, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		items = append(items, word(name)+": "+byName[name])
	}
	return "{" + strings.Join(items, ", ") + "}"
}

// structure writes the fields of a struct that hold anything.
func structure(v reflect.Value) string {
	var items []string
	for _, f := range fieldsOf(v.Type()) {
		if v.Field(f.index).IsZero() {
			continue
		}
		items = append(items, f.name+": "+text(v.Field(f.index)))
	}
	return "{" + strings.Join(items, ", ") + "}"
}

// nothing reports whether v holds nothing that could be a secret.
func nothing(v reflect.Value) bool {
	for v.Kind() == reflect.Interface {
		if v.IsNil() {
			return true
		}
		v = v.Elem()
	}
	return v.Kind() == reflect.Bool || v.IsZero()
}

// soundsSecret goes by the name of an option. It masks rather one too many.
func soundsSecret(name string) bool {
	name = strings.ToLower(name)
	for _, part := range []string{"secret", "password", "passwd", "token", "credential", "private", "dsn"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return strings.HasSuffix(name, "key")
}

// duration writes in one unit what is short enough to be read so: 90s and not
// 1m30s, 168h and not 168h0m0s.
func duration(d time.Duration) string {
	switch {
	case d == 0:
		return "0s"
	case d%time.Hour == 0:
		return strconv.FormatInt(int64(d/time.Hour), 10) + "h"
	case d > time.Hour:
		if whole, cut := strings.CutSuffix(d.String(), "m0s"); cut {
			return whole + "m"
		}
		return d.String()
	case d%time.Minute == 0:
		return strconv.FormatInt(int64(d/time.Minute), 10) + "m"
	case d%time.Second == 0:
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	default:
		return d.String()
	}
}

// float writes a number so that YAML does not take it for a whole one.
func float(f float64) string {
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// word writes text as YAML: bare where nothing else could be meant, else in
// double quotes.
func word(s string) string {
	if isRate(s) || isBare(s) {
		return s
	}
	return strconv.Quote(s)
}

// isBare reports whether s is text in every dialect of YAML without quotes.
func isBare(s string) bool {
	if s == "" || strings.HasSuffix(s, ":") {
		return false
	}
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '/'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789-.:@+", rune(c))) {
			return false
		}
	}
	return true
}

func isRate(s string) bool {
	_, err := ParseRate(s)
	return err == nil && s[0] != '0'
}

package config

import (
	"encoding"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// parse reads a scalar as type t. The second result says what is wrong, and is
// empty when nothing is. It never quotes a [Secret].
func parse(n *node, t reflect.Type) (any, string) {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return parseDuration(n)
	case readsText(t):
		v := reflect.New(t)
		if err := v.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.text)); err != nil {
			return nil, err.Error()
		}
		return v.Elem().Interface(), ""
	}
	result := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.String:
		// From a file, any word is text as it is written: a commit of digits
		// only needs no quotes. An option map has lost how it was written.
		if n.strict && !n.quoted {
			return nil, "must be text; put it in quotes"
		}
		result.SetString(n.text)
	case reflect.Bool:
		v, ok := parseBool(n)
		if !ok {
			return nil, "must be true or false" + quotes(n) + "; got " + show(n.text)
		}
		result.SetBool(v)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v, ok := parseInt(n)
		if !ok || result.OverflowInt(v) {
			return nil, "must be a whole number" + quotes(n) + "; got " + show(n.text)
		}
		result.SetInt(v)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v, ok := parseInt(n)
		if !ok || v < 0 || result.OverflowUint(uint64(v)) {
			return nil, "must be a whole number, not below 0" + quotes(n) + "; got " + show(n.text)
		}
		result.SetUint(uint64(v))
	case reflect.Float32, reflect.Float64:
		v, err := strconv.ParseFloat(n.text, 64)
		if err != nil || n.quoted || math.IsInf(v, 0) || math.IsNaN(v) {
			return nil, "must be a number" + quotes(n) + "; got " + show(n.text)
		}
		result.SetFloat(v)
	default:
		panic("config: a field of type " + t.String() + " cannot be set")
	}
	return result.Interface(), ""
}

// quotes adds, for a value in quotes, that they are what is wrong.
func quotes(n *node) string {
	if n.quoted {
		return ", without quotes"
	}
	return ""
}

func parseDuration(n *node) (any, string) {
	const example = "must be a duration such as 250ms, 30s, 5m or 168h"
	d, err := time.ParseDuration(n.text)
	switch {
	case err == nil && d < 0:
		return nil, "must not be below 0; got " + show(n.text)
	case err == nil:
		return d, ""
	case n.text != "" && strings.Trim(n.text, "0123456789") == "":
		return nil, example + "; " + show(n.text) + " lacks its unit"
	default:
		return nil, example + "; got " + show(n.text)
	}
}

// parseBool takes true and false; from variables and flags 1 and 0 too.
func parseBool(n *node) (value, ok bool) {
	if n.quoted {
		return false, false
	}
	short := n.at.Source > FromFile
	switch n.text {
	case "true":
		return true, true
	case "false":
		return false, true
	case "1":
		return true, short
	case "0":
		return false, short
	}
	return false, false
}

// parseInt takes decimal digits, with _ between them if one likes. A leading
// zero is refused: half of the world reads it as octal.
func parseInt(n *node) (int64, bool) {
	if n.quoted {
		return 0, false
	}
	digits := strings.TrimPrefix(n.text, "-")
	if len(digits) > 1 && digits[0] == '0' || strings.HasPrefix(digits, "_") || strings.HasSuffix(digits, "_") {
		return 0, false
	}
	v, err := strconv.ParseInt(strings.ReplaceAll(n.text, "_", ""), 10, 64)
	return v, err == nil && !strings.HasPrefix(n.text, "+")
}

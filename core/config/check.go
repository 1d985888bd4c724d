package config

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/claudemesh/broker/core/nearest"
)

// checker reads nodes as Go types. What does not fit becomes a problem and is
// left out of the result; the rest is good, so one reading finds all problems.
type checker struct {
	*report

	// root is the type whose keys are searched for a name that stands in the
	// wrong section.
	root reflect.Type
}

// value reads n as a field's type. False: there is nothing to use.
func (c checker) value(n *node, f field, key string) (any, bool) {
	t := f.typ
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if n.kind == null && !isSection(t) && t.Kind() != reflect.Map {
		c.add(n.at, key, "has no value; give it one, or leave the line out")
		return nil, false
	}
	switch {
	case isSection(t):
		return c.section(n, t, key)
	case t.Kind() == reflect.Map:
		return c.table(n, t.Elem(), key)
	case t.Kind() == reflect.Slice:
		return c.list(n, f, t.Elem(), key)
	}
	return c.scalar(n, f, t, key)
}

// section reads a struct.
func (c checker) section(n *node, t reflect.Type, key string) (map[string]any, bool) {
	if n.kind != section && n.kind != null {
		c.add(n.at, key, "must be a section with keys below it, not %s; keys: %s",
			n.what(), strings.Join(names(fieldsOf(t)), ", "))
		return nil, false
	}
	fields := fieldsOf(t)
	result := map[string]any{}
	for _, p := range c.unique(n, key) {
		below := join(key, p.key)
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == p.key })
		if i < 0 {
			c.unknown(p, key, fields)
			continue
		}
		if v, ok := c.value(p.value, fields[i], below); ok {
			result[p.key] = v
		}
	}
	return result, true
}

// unique returns the pairs of a section without repeated keys, and notes where
// each stands.
func (c checker) unique(n *node, key string) []pair {
	first := map[string]Origin{}
	var kept []pair
	for _, p := range n.pairs {
		below := join(key, p.key)
		if at, twice := first[p.key]; twice {
			c.add(p.at, below, "is set twice; first in line %d", at.Line)
			continue
		}
		first[p.key] = p.at
		c.places[below] = place{p.at, p.value.at}
		kept = append(kept, p)
	}
	return kept
}

func (c checker) unknown(p pair, key string, fields []field) {
	meant := nearest.Of(p.key, names(fields))
	if meant == "" && c.root != nil {
		for k := range leaves(c.root) {
			if strings.HasSuffix(k, "."+p.key) || k == p.key {
				meant = k
				break
			}
		}
	}
	c.add(p.at, join(key, p.key), "unknown key%s", hint(meant, "allowed here: "+strings.Join(names(fields), ", ")))
}

// table reads a map whose keys are the operator's own.
func (c checker) table(n *node, t reflect.Type, key string) (any, bool) {
	if n.kind != section && n.kind != null {
		c.add(n.at, key, "must be a section with keys below it, not %s", n.what())
		return nil, false
	}
	result := map[string]any{}
	for _, p := range c.unique(n, key) {
		below := join(key, p.key)
		if t.Kind() == reflect.Interface {
			result[p.key] = c.free(p.value, below)
		} else if v, ok := c.value(p.value, field{typ: t}, below); ok {
			result[p.key] = v
		}
	}
	return result, true
}

// free reads a value as YAML takes it. It is JSON's model: text, bool, number,
// []any, map[string]any, nil.
func (c checker) free(n *node, key string) any {
	switch n.kind {
	case scalar:
		if err, wrong := n.value.(error); wrong {
			c.add(n.at, key, "%s", err)
			return nil
		}
		return n.value
	case list:
		items := make([]any, len(n.items))
		for i, item := range n.items {
			c.places[index(key, i)] = place{item.at, item.at}
			items[i] = c.free(item, index(key, i))
		}
		return items
	case section:
		result := map[string]any{}
		for _, p := range c.unique(n, key) {
			result[p.key] = c.free(p.value, join(key, p.key))
		}
		return result
	default:
		return nil
	}
}

// list reads a slice. An item that is wrong keeps its place in the result, so
// that indexes go on to mean what they mean in the file.
func (c checker) list(n *node, f field, item reflect.Type, key string) (any, bool) {
	if n.kind == scalar && n.at.Source > FromFile { // a variable or a flag
		if isSection(item) {
			c.add(n.at, key, "can only be set in the file")
			return nil, false
		}
		n = split(n)
	}
	if n.kind != list {
		c.add(n.at, key, "must be a list, not %s", n.what())
		return nil, false
	}
	result := make([]any, len(n.items))
	for i, each := range n.items {
		at := index(key, i)
		c.places[at] = place{each.at, each.at}
		if item.Kind() == reflect.Interface {
			result[i] = c.free(each, at)
			continue
		}
		result[i] = reflect.Zero(item).Interface()
		if v, ok := c.value(each, field{typ: item, limit: f.limit, one: f.one}, at); ok {
			result[i] = v
		} else {
			c.bad[key] = true
			if isSection(item) {
				result[i] = map[string]any{}
			}
		}
	}
	return result, true
}

// split makes a list of a text with commas.
func split(n *node) *node {
	items := &node{kind: list, at: n.at}
	for text := range strings.SplitSeq(n.text, ",") {
		items.items = append(items.items, textNode(strings.TrimSpace(text), n.at))
	}
	return items
}

// scalar reads everything that is written as one word.
func (c checker) scalar(n *node, f field, t reflect.Type, key string) (any, bool) {
	if n.kind != scalar {
		c.add(n.at, key, "must be %s, not %s", wanted(f), n.what())
		return nil, false
	}
	v, wrong := parse(n, t)
	if wrong == "" {
		wrong = outside(v, f, t, n)
	}
	if wrong != "" {
		c.add(n.at, key, "%s", wrong)
		return nil, false
	}
	return v, true
}

// outside says how a value breaks the limit or the list of words of its field.
func outside(v any, f field, t reflect.Type, n *node) string {
	if len(f.one) > 0 && !slices.Contains(f.one, n.text) {
		return "must be " + either(f.one) + "; got " + show(n.text) + didYouMean(n.text, f.one)
	}
	smallest, largest := bounds(f.limit, t)
	got, ok := number(v)
	if !ok || (smallest == nil || got >= *smallest) && (largest == nil || got <= *largest) {
		return ""
	}
	return "must be " + between(f.limit) + "; got " + show(n.text)
}

// bounds reads a limit tag in the unit of type t.
func bounds(limit string, t reflect.Type) (smallest, largest *float64) {
	read := func(text string) *float64 {
		if text == "" {
			return nil
		}
		v, wrong := parse(textNode(text, Origin{}), t)
		n, ok := number(v)
		if wrong != "" || !ok {
			panic("config: the limit tag " + strconv.Quote(limit) + " does not fit " + t.String())
		}
		return &n
	}
	low, high, _ := strings.Cut(limit, "..")
	return read(low), read(high)
}

// between says a limit tag in words.
func between(limit string) string {
	low, high, _ := strings.Cut(limit, "..")
	switch {
	case low == "":
		return "at most " + high
	case high == "":
		return "at least " + low
	default:
		return "from " + low + " to " + high
	}
}

// number returns numeric values, durations among them, as a float: exact up to
// 2^53, far above any limit.
func number(v any) (float64, bool) {
	r := reflect.ValueOf(v)
	switch {
	case !r.IsValid():
		return 0, false
	case r.CanInt():
		return float64(r.Int()), true
	case r.CanUint():
		return float64(r.Uint()), true
	case r.CanFloat():
		return r.Float(), true
	}
	return 0, false
}

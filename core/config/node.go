package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// kind is the shape of a node.
type kind uint8

const (
	null kind = iota
	scalar
	list
	section
)

// node is one value as it was written, with its place. Files, variables, flags
// and option maps all become nodes, so that one checker judges them all.
type node struct {
	kind kind
	at   Origin

	// Of a scalar.
	text   string // as written, without quotes
	quoted bool   // certainly text, even if it looks like a number
	value  any    // what YAML takes it for, where no type is asked for
	strict bool   // came typed from an option map: a number is no text

	items []*node // of a list
	pairs []pair  // of a section, in the file's order; keys may repeat
}

// pair is one line of a section.
type pair struct {
	key   string
	at    Origin // of the key
	value *node
}

// what names a node's shape for an error. It does not show the value: where
// the shape is wrong, a password may stand where a section belongs.
func (n *node) what() string {
	switch n.kind {
	case list:
		return "a list"
	case section:
		return "a section"
	case scalar:
		return "a single value"
	default:
		return "nothing"
	}
}

// textNode is a value from a variable or a flag. Its type is still open: it may
// be a number as well as a text.
func textNode(text string, at Origin) *node {
	return &node{kind: scalar, at: at, text: text, value: text}
}

// nodeOf makes nodes of a value that is in Go's hands already. places knows
// where it came from; key is its own key there.
func nodeOf(value any, key string, places map[string]place) *node {
	n := &node{at: places[key].value, value: value, strict: true}
	switch v := value.(type) {
	case nil:
		n.kind = null
	case map[string]any:
		n.kind = section
		for _, k := range slices.Sorted(maps.Keys(v)) {
			below := join(key, k)
			n.pairs = append(n.pairs, pair{key: k, at: places[below].key, value: nodeOf(v[k], below, places)})
		}
	case []any:
		n.kind = list
		for i, item := range v {
			n.items = append(n.items, nodeOf(item, index(key, i), places))
		}
	case []string:
		n.kind = list
		for i, item := range v {
			n.items = append(n.items, nodeOf(item, index(key, i), places))
		}
	case string:
		n.kind, n.text, n.quoted = scalar, v, true
	case fmt.Stringer: // a time.Duration, a Rate: set by code
		n.kind, n.text, n.quoted = scalar, v.String(), true
	default:
		n.kind, n.text = scalar, fmt.Sprint(v)
	}
	return n
}

// join appends a name to a key.
func join(key, name string) string {
	if !plainName(name) {
		name = show(name)
	}
	if key == "" {
		return name
	}
	return key + "." + name
}

// index appends a position in a list to a key.
func index(key string, i int) string { return key + "[" + strconv.Itoa(i) + "]" }

// plainName reports whether name can stand in a key without quotes.
func plainName(name string) bool {
	if name == "" || len(name) > maxShown {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

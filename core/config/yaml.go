package config

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a file. The parser needs time and memory by the square of the
// nesting and of the keys in one section, so a small hostile file could keep it
// busy for hours.
const (
	maxFileBytes = 1 << 20
	maxTokens    = 20_000 // takes 0.2 s; configs/full.yaml has some 500
	maxDepth     = 32
)

// parseYAML reads a file into nodes. What it cannot read is a problem, and then
// the node is nil. An empty file is an empty section.
func parseYAML(data []byte, name string, r *report) *node {
	file := Origin{Source: FromFile, Name: name}
	if len(data) > maxFileBytes {
		r.add(file, "", "is larger than %d bytes", maxFileBytes)
		return nil
	}
	if line, ok := invalidLine(data); ok {
		r.add(Origin{FromFile, name, line, 1}, "", "the line is not UTF-8 text")
		return nil
	}
	tokens := lexer.Tokenize(string(bytes.TrimPrefix(data, []byte("\uFEFF"))))
	if !readable(tokens, file, r) {
		return nil
	}
	// Repeated keys are let through, so that all of them are reported.
	tree, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		at, text := file, err.Error()
		// The error's own text quotes the lines around it, secrets and all.
		if e := yaml.Error(nil); errors.As(err, &e) {
			text = e.GetMessage()
			if e.GetToken() != nil {
				at = position(e.GetToken(), name)
			}
		}
		r.add(at, "", "not valid YAML: %s", inOneLine(text))
		return nil
	}
	root := &node{kind: section, at: file}
	found := false
	for _, doc := range tree.Docs {
		if doc.Body == nil {
			continue
		}
		c := converter{name, r}
		n := c.node(doc.Body, file)
		switch {
		case found:
			r.add(n.at, "", "a second document; one file holds one configuration")
		case n.kind != null:
			root = n
		}
		found = true
	}
	return root
}

// inOneLine makes a message of the parser presentable. Where it says least, it
// adds the usual causes.
func inOneLine(text string) string {
	if text == "mapping value is not allowed in this context" {
		return "a second key in this place; look at the indentation, and put text that holds a colon and a space in quotes"
	}
	quoted := strconv.Quote(text[:min(len(text), 200)])
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// invalidLine returns the line, from 1, of the first byte that is not UTF-8.
func invalidLine(data []byte) (int, bool) {
	if utf8.Valid(data) {
		return 0, false
	}
	line := 1
	for len(data) > 0 {
		c, size := utf8.DecodeRune(data)
		if c == utf8.RuneError && size == 1 {
			break
		}
		if c == '\n' {
			line++
		}
		data = data[size:]
	}
	return line, true
}

// readable keeps from the parser what would cost it too much, and what a
// configuration has no use for: a value that stands elsewhere is harder to
// check, by eye and by us.
func readable(tokens token.Tokens, file Origin, r *report) bool {
	if len(tokens) > maxTokens {
		r.add(file, "", "holds more than %d words and signs; no configuration needs so many", maxTokens)
		return false
	}
	ok := true
	var columns []int // of the block sections and lists that are open
	flow := 0         // open brackets and braces
	for _, t := range tokens {
		if t.Type == token.InvalidType {
			return ok // the parser says more about it
		}
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType, token.TagType, token.DirectiveType:
			r.add(position(t, file.Name), "", "anchors, aliases, tags and directives are not read here; write the value out")
			ok = false
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow = max(0, flow-1)
		default:
		}
		if flow == 0 && opensBlock(t) {
			for len(columns) > 0 && columns[len(columns)-1] >= t.Position.Column {
				columns = columns[:len(columns)-1]
			}
			columns = append(columns, t.Position.Column)
		}
		if flow > maxDepth || len(columns) > maxDepth {
			r.add(position(t, file.Name), "", "nested more than %d deep", maxDepth)
			return false
		}
	}
	return ok
}

// opensBlock reports whether t is a dash, a question mark or a key, and so may
// begin a section or a list.
func opensBlock(t *token.Token) bool {
	return t.Type == token.SequenceEntryType || t.Type == token.MappingKeyType ||
		t.Next != nil && t.Next.Type == token.MappingValueType
}

func position(t *token.Token, name string) Origin {
	return Origin{FromFile, name, t.Position.Line, t.Position.Column}
}

// converter makes nodes of the parser's tree.
type converter struct {
	name   string
	report *report
}

// node converts a; at is the place to name for a value that is not there.
func (c converter) node(a ast.Node, at Origin) *node {
	n := &node{at: at}
	if a == nil {
		return n
	}
	if a.Type() != ast.NullType && a.GetToken() != nil {
		n.at = position(a.GetToken(), c.name)
	}
	switch a := a.(type) {
	case *ast.NullNode:
	case ast.MapNode:
		n.kind = section
		for pairs := a.MapRange(); pairs.Next(); {
			c.pair(n, pairs.Key(), pairs.Value())
		}
		if len(n.pairs) > 0 && n.pairs[0].at.Line == n.at.Line && n.pairs[0].at.Column < n.at.Column {
			n.at = n.pairs[0].at // the token of a block section is its first colon
		}
	case ast.ArrayNode:
		n.kind = list
		for items := a.ArrayRange(); items.Next(); {
			n.items = append(n.items, c.node(items.Value(), n.at))
		}
	case *ast.LiteralNode:
		n.kind, n.quoted = scalar, true
		n.text = a.Value.Value
		n.value = n.text
	case ast.ScalarNode:
		n.kind, n.text, n.value = scalar, a.GetToken().Value, free(a)
		t := a.GetToken().Type
		n.quoted = t == token.SingleQuoteType || t == token.DoubleQuoteType
	default:
		c.report.add(n.at, "", "this form of YAML is not read here")
	}
	return n
}

func (c converter) pair(n *node, key ast.MapKeyNode, value ast.Node) {
	if key == nil || key.GetToken() == nil {
		return
	}
	at := position(key.GetToken(), c.name)
	switch key.(type) {
	case *ast.MappingKeyNode, *ast.MergeKeyNode, *ast.NullNode:
		c.report.add(at, "", "a key is a plain word here")
		return
	}
	n.pairs = append(n.pairs, pair{key: key.GetToken().Value, at: at, value: c.node(value, at)})
}

// free returns a scalar as YAML takes it: text, bool, int or float64; or an
// error, which matters only where no type of ours is asked for.
func free(a ast.ScalarNode) any {
	switch v := a.GetValue().(type) {
	case uint64:
		if v > math.MaxInt {
			return fmt.Errorf("the number %s is too large", show(a.GetToken().Value))
		}
		return int(v)
	case int64:
		return int(v)
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return fmt.Errorf("%s is no number", show(a.GetToken().Value))
		}
		return v
	case bool:
		return v
	case string:
		return v
	}
	return a.GetToken().Value
}

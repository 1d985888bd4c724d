package celpolicy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// longestFile bounds a rule file in bytes.
const longestFile = 1 << 20

// FileError lists what is wrong with a rule file, each with line and column.
type FileError struct {
	Lines []string
}

func (e *FileError) Error() string { return strings.Join(e.Lines, "\n") }

// readFile reads a rule file. A file that is too long is an error.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // was only read
	text, err := io.ReadAll(io.LimitReader(f, longestFile+1))
	if err == nil && len(text) > longestFile {
		err = fmt.Errorf("%s has more than %d bytes", path, longestFile)
	}
	return text, err
}

// compileFile compiles the text of a rule file; path is for the errors, which
// are of type [FileError].
//
// The reader of YAML panics on some texts. That must not end a program which has
// rules that are good.
func (c *compiler) compileFile(path string, text []byte) (out *compiled, err error) {
	defer func() {
		if v := recover(); v != nil {
			out, err = nil, &FileError{Lines: []string{fmt.Sprintf("%s: no YAML that can be read (%v)", path, v)}}
		}
	}()
	p := Policy{Default: Continue}
	err = yaml.NewDecoder(bytes.NewReader(text), yaml.DisallowUnknownField()).Decode(&p)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, &FileError{Lines: []string{syntax(path, err)}}
	}
	out, wrong := c.compile(&p)
	if len(wrong) == 0 {
		return out, nil
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, &FileError{Lines: []string{syntax(path, err)}}
	}
	e := &FileError{}
	for _, m := range wrong {
		e.Lines = append(e.Lines, path+":"+place(file, m)+": "+m.about()+m.message)
	}
	return nil, e
}

// about says which part of which rule a mistake is in.
func (m *mistake) about() string {
	switch {
	case m.rule < 0:
		return m.field + ": "
	case m.name == "":
		return "rule " + strconv.Itoa(m.rule+1) + ": " + m.field + ": "
	}
	return "rule " + m.name + ": " + m.field + ": "
}

// place returns line and column of a mistake: those of the part that is wrong,
// or of the rule that lacks it.
func place(file *ast.File, m mistake) string {
	path := "$." + m.field
	if m.rule >= 0 {
		path = fmt.Sprintf("$.rules[%d].%s", m.rule, m.field)
	}
	node := find(file, path)
	if node == nil && m.rule >= 0 {
		m.line, node = 0, find(file, fmt.Sprintf("$.rules[%d]", m.rule))
	}
	if node == nil {
		return "1:1"
	}
	line, col := position(node, m.line, m.col)
	return strconv.Itoa(line) + ":" + strconv.Itoa(col)
}

// position turns a place in a text of the file into one in the file.
func position(node ast.Node, line, col int) (int, int) {
	at := node.GetToken().Position
	if line == 0 {
		return at.Line, at.Column
	}
	switch n := node.(type) {
	case *ast.LiteralNode: // the text begins on the next line
		indent := strings.IndexFunc(n.Value.GetToken().Origin, func(r rune) bool { return r != ' ' && r != '\n' })
		return n.Start.Position.Line + line, max(indent, 0) + col
	case *ast.StringNode:
		if quote := n.GetToken().Origin; strings.HasPrefix(strings.TrimLeft(quote, " "), `"`) ||
			strings.HasPrefix(strings.TrimLeft(quote, " "), "'") {
			col++
		}
	}
	if line > 1 { // a folded text; where its lines were, is lost
		return at.Line, at.Column
	}
	return at.Line, at.Column + col - 1
}

func find(file *ast.File, path string) ast.Node {
	p, err := yaml.PathString(path)
	if err != nil {
		return nil
	}
	node, err := p.FilterFile(file)
	if err != nil {
		return nil
	}
	return node
}

// syntax writes an error of the YAML reader, which begins with "[line:column]",
// as one line.
func syntax(path string, err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	if place, message, ok := strings.Cut(strings.TrimPrefix(text, "["), "] "); ok && strings.HasPrefix(text, "[") {
		return path + ":" + place + ": " + message
	}
	return path + ": " + text
}

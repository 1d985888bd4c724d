package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Pin returns the text of a config file in which the plugin of a link has the
// given SHA-256, and everything else stands as it did, comments and all. The
// error says why the file has no place for it.
func Pin(text []byte, link, sha256 string) ([]byte, error) {
	plugin, err := findPlugin(text, link)
	if err != nil {
		return nil, err
	}
	lines := strings.SplitAfter(string(text), "\n")
	quoted := `"` + sha256 + `"`
	if old := entryOf(plugin, "sha256"); old != nil {
		return replaceScalar(lines, old, quoted)
	}
	path := entryOf(plugin, "path")
	if path == nil {
		return nil, fmt.Errorf("link %s: its plugin has no path", link)
	}
	if plugin.IsFlowStyle {
		at := path.Value.GetToken()
		return replaceScalar(lines, path, strings.TrimSpace(at.Origin)+", sha256: "+quoted)
	}
	key := path.Key.GetToken().Position
	line := path.Value.GetToken().Position.Line
	if !strings.HasSuffix(lines[line-1], "\n") {
		lines[line-1] += "\n"
	}
	lines[line-1] += strings.Repeat(" ", key.Column-1) + "sha256: " + quoted + "\n"
	return []byte(strings.Join(lines, "")), nil
}

// replaceScalar puts text in the place of a value that stands on one line.
func replaceScalar(lines []string, entry *ast.MappingValueNode, text string) ([]byte, error) {
	token := entry.Value.GetToken()
	old := strings.TrimSpace(token.Origin)
	i := token.Position.Line - 1
	if i >= len(lines) || old == "" || strings.Contains(old, "\n") {
		return nil, fmt.Errorf("line %d: %s has a value that cannot be replaced; write %s there", i+1, entry.Key, text)
	}
	head, rest := splitColumn(lines[i], token.Position.Column)
	before, after, found := strings.Cut(rest, old)
	if !found {
		return nil, fmt.Errorf("line %d: %s has a value that cannot be replaced; write %s there", i+1, entry.Key, text)
	}
	lines[i] = head + before + text + after
	return []byte(strings.Join(lines, "")), nil
}

// splitColumn splits a line before its column-th character, from 1.
func splitColumn(line string, column int) (head, rest string) {
	at := 0
	for range column - 1 {
		if at == len(line) {
			break
		}
		_, n := utf8.DecodeRuneInString(line[at:])
		at += n
	}
	return line[:at], line[at:]
}

// findPlugin returns the plugin section of a link.
func findPlugin(text []byte, link string) (*ast.MappingNode, error) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, err
	}
	if len(file.Docs) != 1 {
		return nil, errors.New("the file is not one document")
	}
	root, ok := file.Docs[0].Body.(*ast.MappingNode)
	if !ok {
		return nil, errors.New("the file is no mapping")
	}
	entry := entryOf(root, "pipeline")
	if entry == nil {
		return nil, errors.New("the file has no pipeline")
	}
	list, ok := entry.Value.(*ast.SequenceNode)
	if !ok {
		return nil, errors.New("the pipeline is no list")
	}
	for _, v := range list.Values {
		if m, ok := v.(*ast.MappingNode); ok && nameOf(m) == link {
			return pluginOf(m, link)
		}
	}
	return nil, fmt.Errorf("the file has no link named %s", link)
}

func pluginOf(link *ast.MappingNode, name string) (*ast.MappingNode, error) {
	entry := entryOf(link, "plugin")
	if entry == nil {
		return nil, fmt.Errorf("link %s has no plugin section", name)
	}
	m, ok := entry.Value.(*ast.MappingNode)
	if !ok {
		return nil, fmt.Errorf("link %s: its plugin section is no mapping of its own", name)
	}
	return m, nil
}

// nameOf returns the name of a link: its own, or its stage's.
func nameOf(link *ast.MappingNode) string {
	for _, key := range []string{"name", "stage"} {
		if v := entryOf(link, key); v != nil {
			if s, ok := v.Value.(*ast.StringNode); ok && s.Value != "" {
				return s.Value
			}
		}
	}
	return ""
}

func entryOf(m *ast.MappingNode, key string) *ast.MappingValueNode {
	for _, v := range m.Values {
		if v.Key.String() == key {
			return v
		}
	}
	return nil
}

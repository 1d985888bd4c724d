package deploy_test

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	attributeInCode = regexp.MustCompile(`attribute\.[A-Z]\w+\("([a-z_.]+)"`)
	attributeInText = regexp.MustCompile(`\b(claudemesh\.[a-z_.]*[a-z])\b`)
)

// attributesOfCode returns the attributes of all spans.
func attributesOfCode(t *testing.T) (list []string) {
	t.Helper()
	for _, root := range []string{"../core/tracing", "../core/exchange", "../core/pluginhost/hop", "../sdk/plugin"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			for _, m := range attributeInCode.FindAllStringSubmatch(read(t, path), -1) {
				list = append(list, m[1])
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// TestAttributes wants the page to name every attribute of a span, and neither
// page nor dashboard to name one that no span has.
func TestAttributes(t *testing.T) {
	known, page := attributesOfCode(t), read(t, "../docs/observe.md")
	if len(known) < 15 {
		t.Errorf("only %d attributes were found: %q", len(known), known)
	}
	for _, name := range known {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("docs/observe.md does not say what %s is", name)
		}
	}
	for file, text := range map[string]string{"docs/observe.md": page, "the dashboard": read(t, "grafana/broker.json")} {
		found := attributeInText.FindAllString(text, -1)
		if len(found) == 0 {
			t.Errorf("%s names no attribute", file)
		}
		for _, name := range found {
			if !slices.Contains(known, name) {
				t.Errorf("%s names %s, which no span has", file, name)
			}
		}
	}
}

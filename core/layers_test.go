package core_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/claudemesh/broker/"

// layer says what a folder and all below it may import of ours. A folder may
// always import itself, but not what is below it.
type layer struct {
	folder string
	may    []string // folders, with what is below them
	std    bool     // nothing but ours and the standard library
}

// layers are the arrows, which point down: cmd → stages → core → sdk, and
// plugins → sdk. The longest folder that a file is in decides.
var layers = []layer{
	{folder: "sdk", std: true},
	{folder: "sdk/sdktest", may: []string{"sdk"}}, // it serves plugins in memory, so it has what they have
	{folder: "sdk/plugin", may: []string{"sdk"}},

	{folder: "migrations"},
	{folder: "core", may: []string{"core", "sdk", "migrations"}},
	{folder: "core/identity", may: []string{"sdk"}},
	{folder: "core/token", may: []string{"core/identity", "sdk"}},
	{folder: "core/audit"},
	{folder: "core/nearest", std: true},
	{folder: "core/chain", may: []string{"core/nearest", "sdk"}, std: true},
	{folder: "core/hub", may: []string{"core/wire"}},
	{folder: "core/traceparent", std: true},
	{folder: "core/wire", may: []string{"core/traceparent", "sdk"}},
	{folder: "core/config", may: []string{"core/nearest"}},

	{folder: "stages", may: []string{"stages", "core", "sdk"}},
	{folder: "stages/*", may: []string{"core", "sdk"}}, // one stage never imports another

	{folder: "plugins", may: []string{"plugins", "sdk"}},
	{folder: "cmd", may: []string{"cmd", "stages", "core", "sdk", "migrations", "configs"}},
	{folder: "configs"},
	{folder: "docs", may: []string{"sdk"}},
}

// The sources are parsed here, and not listed by a go command: what a test
// opens is part of its cache key, what a child process reads is not.
func TestLayers(t *testing.T) {
	checked := 0
	err := filepath.WalkDir("..", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != ".." && skipped(d.Name()):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil // tests may put together what the program puts together
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel("..", file)
		if err != nil {
			return err
		}
		checked++
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if broken := breach(filepath.ToSlash(rel), imported); broken != "" {
				t.Error(broken)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked < 10 {
		t.Errorf("only %d files were found", checked)
	}
}

// What plugins alone need is in the module, and in no other program.
func TestLibrariesOfPlugins(t *testing.T) {
	err := filepath.WalkDir("..", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "plugins" || file != ".." && skipped(d.Name())):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(file, ".go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			for _, library := range []string{"github.com/neo4j/", "cel.dev/"} {
				if strings.Contains(spec.Path.Value, library) {
					t.Errorf("%s imports %s, which is for plugins", file, spec.Path.Value)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func skipped(folder string) bool {
	return strings.HasPrefix(folder, ".") || folder == "testdata" || folder == "node_modules"
}

// breach says what is wrong with a file's import, or nothing.
func breach(file, imported string) string {
	folder := path.Dir(file)
	l, ok := layerOf(folder)
	if !ok {
		return fmt.Sprintf("%s: no layer is known for %s; add it to core/layers_test.go", file, folder)
	}
	to, ours := strings.CutPrefix(imported, module)
	switch {
	case !ours && l.std && strings.Contains(strings.Split(imported, "/")[0], "."):
		return fmt.Sprintf("%s imports %s; %s has the standard library only", file, imported, l.folder)
	case !ours || to == folder || slices.ContainsFunc(l.may, func(f string) bool { return within(to, f) }):
		return ""
	case len(l.may) == 0:
		return fmt.Sprintf("%s imports %s; %s may import nothing of ours", file, to, l.folder)
	}
	return fmt.Sprintf("%s imports %s; %s may import %s", file, to, l.folder, strings.Join(l.may, ", "))
}

// layerOf returns the layer of the longest folder that folder is in.
func layerOf(folder string) (found layer, ok bool) {
	for _, l := range layers {
		if parent, some := strings.CutSuffix(l.folder, "/*"); some {
			if !strings.HasPrefix(folder, parent+"/") {
				continue
			}
		} else if !within(folder, l.folder) {
			continue
		}
		if !ok || len(l.folder) > len(found.folder) {
			found, ok = l, true
		}
	}
	return found, ok
}

func within(folder, of string) bool { return folder == of || strings.HasPrefix(folder, of+"/") }

// The rules bite: each breach that they are there for is found.
func TestBreach(t *testing.T) {
	tests := []struct {
		name, file, imported, want string
	}{
		{"it lets a stage use the engine", "stages/route/route.go", module + "core/chain", ""},
		{"it lets the list of stages name them", "stages/stages.go", module + "stages/route", ""},
		{"it lets the program use everything", "cmd/broker/wire.go", module + "stages", ""},
		{"it lets anyone use the standard library", "sdk/key.go", "encoding/hex", ""},
		{"it lets the engine use a library", "core/hub/peer.go", "github.com/coder/websocket", ""},
		{
			"it keeps stages apart", "stages/route/route.go", module + "stages/grants",
			"stages/route/route.go imports stages/grants; stages/* may import core, sdk",
		},
		{
			"it keeps stages out of the engine", "core/app/app.go", module + "stages",
			"core/app/app.go imports stages; core may import core, sdk, migrations",
		},
		{
			"it keeps the engine out of the sdk", "sdk/stage.go", module + "core",
			"sdk/stage.go imports core; sdk may import nothing of ours",
		},
		{
			"it keeps sdk/plugin out of the sdk", "sdk/stage.go", module + "sdk/plugin",
			"sdk/stage.go imports sdk/plugin; sdk may import nothing of ours",
		},
		{
			"it keeps libraries out of the sdk", "sdk/stage.go", "go.opentelemetry.io/otel",
			"sdk/stage.go imports go.opentelemetry.io/otel; sdk has the standard library only",
		},
		{
			"it keeps the engine out of plugins", "plugins/office/main.go", module + "core/chain",
			"plugins/office/main.go imports core/chain; plugins may import plugins, sdk",
		},
		{
			"it keeps plugins out of the program", "cmd/broker/main.go", module + "plugins/office",
			"cmd/broker/main.go imports plugins/office; cmd may import cmd, stages, core, sdk, migrations, configs",
		},
		{
			"it wants a layer for every folder", "tools/gen.go", "fmt",
			"tools/gen.go: no layer is known for tools; add it to core/layers_test.go",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, breach(tt.file, tt.imported)); diff != "" {
				t.Errorf("breach (-want +got):\n%s", diff)
			}
		})
	}
}

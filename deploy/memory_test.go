package deploy_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// alone are the packages that no serving replica has state in: tests, peers,
// the embedded store, and what runs once.
var alone = []string{
	"core/adopt", "core/api/openapi", "core/bus/bustest", "core/bus/local", "core/config", "core/dial", "core/meshsql/lite", "core/meshsql/sqltest",
	"core/pluginhost/conform", "core/pluginhost/measure", "core/pluginhost/process/processtest", "core/store/pgtest",
	"core/store/sqlite", "core/store/storetest", "core/tracing/otlptest", "core/transcript",
}

// passing are types that live as long as one call or one transaction.
var passing = []string{
	"api.Granted", "api.MayDoInTheMesh", "api.SetPermissions", "chain.checker", "feature.docs", "issue.survey",
	"postgres.pipeline", "store.Batch", "store.importing", "wire.GrantsResult",
}

// TestMemoryIsListed wants every type with a map, a channel or a pool in it, and
// every such variable, on the page about several replicas: who adds one has to
// say why it is safe.
func TestMemoryIsListed(t *testing.T) {
	page := read(t, "../docs/ha.md")
	found := 0
	for _, root := range []string{"../core", "../stages"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			folder := filepath.ToSlash(strings.TrimPrefix(filepath.Dir(path), "../"))
			if slices.Contains(alone, folder) {
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			for _, name := range holders(file) {
				found++
				symbol := file.Name.Name + "." + name
				if strings.HasPrefix(folder, "core/bus/") && !strings.Contains(folder, "internal") {
					symbol = strings.TrimPrefix(folder, "core/") + "." + name
				}
				if !strings.Contains(page, symbol) && !slices.Contains(passing, symbol) {
					t.Errorf("%s: docs/ha.md does not say why %s is safe with several replicas", path, symbol)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 10 {
		t.Errorf("only %d types were found", found)
	}
}

// holders returns the types and variables of a file that hold something.
func holders(file *ast.File) (names []string) {
	for _, decl := range file.Decls {
		g, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range g.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if st, ok := s.Type.(*ast.StructType); ok && slices.ContainsFunc(st.Fields.List, func(f *ast.Field) bool { return holds(f.Type) }) {
					names = append(names, s.Name.Name)
				}
			case *ast.ValueSpec:
				if g.Tok == token.VAR && s.Type != nil && holds(s.Type) {
					names = append(names, s.Names[0].Name)
				}
			}
		}
	}
	return names
}

// holds reports whether a value of a type keeps things between calls.
func holds(e ast.Expr) bool {
	switch x := e.(type) {
	case *ast.MapType, *ast.ChanType:
		return true
	case *ast.StarExpr:
		return holds(x.X)
	case *ast.SelectorExpr:
		pkg, ok := x.X.(*ast.Ident)
		return ok && pkg.Name == "sync" && (x.Sel.Name == "Map" || x.Sel.Name == "Pool")
	}
	return false
}

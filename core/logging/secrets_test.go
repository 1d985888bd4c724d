package logging_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// secretName is what a field is called that holds a secret.
var secretName = regexp.MustCompile(`(?i)(secret|token|password|bearer|seed|rootkey|devicecode|usercode|^code$|^invite$)`)

// harmlessName is what it is called when it does not.
var harmlessName = regexp.MustCompile(`(Hash|URL|TTL|ID|ExpiresAt|Timestamp|Bytes|File|Sealed\w*|TimestampToken|ExpiresToken)$`)

// open are types with such a field that may be printed, and why.
var open = map[string]string{
	"core/store.Mesh":            "its secrets are sealed with the operator's key",
	"core/store.SignIn":          "two people compare a user code, and it proves nothing alone",
	"core/api.SignInView":        "as above",
	"core/admin.Approval":        "as above",
	"core/console.doors":         "it has the token's hash",
	"cmd/bench.poster":           "its key is of a broker that ends with the measurement",
	"core/pluginhost/hop.viewer": "it makes pseudonyms, and is worth nothing outside of the hop",
}

// TestSecretsHaveTypes holds that each struct with a secret in it says itself how
// it is logged, and that no field hides a config.Secret where fmt finds its text.
func TestSecretsHaveTypes(t *testing.T) {
	t.Parallel()
	found := 0
	for _, root := range []string{"core", "stages", "cmd"} {
		for folder, files := range packages(t, "../../"+root) {
			silent := map[string]bool{}
			for _, file := range files {
				for _, name := range loggers(file) {
					silent[name] = true
				}
			}
			for _, file := range files {
				for name, s := range structs(file) {
					for _, f := range s.Fields.List {
						if kind := typeName(f.Type); (kind == "config.Secret" || kind == "Secret") && len(f.Names) > 0 && !f.Names[0].IsExported() && !silent[name] {
							t.Errorf("%s: %s.%s is a Secret in a field that is not exported: fmt prints its text", folder, name, f.Names[0])
						}
						field := secretIn(f)
						_, excused := open[folder+"."+name]
						if field == "" || excused {
							continue
						}
						found++
						if !silent[name] {
							t.Errorf("%s: %s has %s in it: give it a LogValue and a Format that do not show it, or excuse it here", folder, name, field)
						}
					}
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d were found", found)
	}
}

// packages are the files of all folders below one, without tests.
func packages(t *testing.T, root string) map[string][]*ast.File {
	t.Helper()
	all := map[string][]*ast.File{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "scaffold" || strings.HasSuffix(d.Name(), "test")):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		folder := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../../")
		all[folder] = append(all[folder], file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// loggers are the types of a file that have a LogValue.
func loggers(file *ast.File) (names []string) {
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Recv != nil && f.Name.Name == "LogValue" {
			names = append(names, strings.TrimPrefix(typeName(f.Recv.List[0].Type), "*"))
		}
	}
	return names
}

func structs(file *ast.File) map[string]*ast.StructType {
	found := map[string]*ast.StructType{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			if s, ok := spec.Type.(*ast.StructType); ok {
				found[spec.Name.Name] = s
			}
		}
		return true
	})
	return found
}

// secretIn returns the name of a field that holds a secret as text or bytes.
func secretIn(f *ast.Field) string {
	kind := typeName(f.Type)
	plain := slices.Contains([]string{"string", "*string", "[]byte", "[]string"}, kind)
	for _, n := range f.Names {
		if kind == "ed25519.PrivateKey" || plain && secretName.MatchString(n.Name) && !harmlessName.MatchString(n.Name) {
			return n.Name
		}
	}
	return ""
}

func typeName(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.StarExpr:
		return "*" + typeName(x.X)
	case *ast.ArrayType:
		return "[]" + typeName(x.Elt)
	case *ast.SelectorExpr:
		return typeName(x.X) + "." + x.Sel.Name
	default:
		return ""
	}
}

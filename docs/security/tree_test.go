package security_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// tree is the parsed files of folders, by folder and name. They are parsed when
// they are asked for.
type tree map[string]map[string]*ast.File

// files returns the Go files of a folder, tests too.
func (tr tree) files(t *testing.T, folder string) map[string]*ast.File {
	t.Helper()
	if files, ok := tr[folder]; ok {
		return files
	}
	paths, err := filepath.Glob(filepath.Join("../..", folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]*ast.File{}
	for _, path := range paths {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(path)] = f
	}
	tr[folder] = files
	return files
}

// has reports whether a file has a function, or a method as Type.Name. Without
// a file it looks in the folder's tests, without a symbol for the file.
func (tr tree) has(t *testing.T, folder, file, symbol string) bool {
	t.Helper()
	for name, f := range tr.files(t, folder) {
		switch {
		case file == "" && !strings.HasSuffix(name, "_test.go"), file != "" && name != file:
			continue
		case symbol == "":
			return true
		}
		if slices.ContainsFunc(f.Decls, func(d ast.Decl) bool { return nameOf(d) == symbol }) {
			return true
		}
	}
	return false
}

// nameOf returns the name of a function, behind that of its receiver's type.
func nameOf(d ast.Decl) string {
	f, ok := d.(*ast.FuncDecl)
	switch {
	case !ok:
		return ""
	case f.Recv == nil:
		return f.Name.Name
	}
	of := f.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	if generic, ok := of.(*ast.IndexExpr); ok {
		of = generic.X
	}
	if id, ok := of.(*ast.Ident); ok {
		return id.Name + "." + f.Name.Name
	}
	return ""
}

// constant returns how a file writes the value of a constant, "" when there is
// none of the name.
func (tr tree) constant(t *testing.T, folder, file, name string) string {
	t.Helper()
	f := tr.files(t, folder)[file]
	if f == nil {
		return ""
	}
	for _, s := range constants(f) {
		for i, id := range s.Names {
			if id.Name != name || i >= len(s.Values) {
				continue
			}
			var b bytes.Buffer
			if err := printer.Fprint(&b, token.NewFileSet(), s.Values[i]); err != nil {
				t.Fatal(err)
			}
			return b.String()
		}
	}
	return ""
}

func constants(f *ast.File) (specs []*ast.ValueSpec) {
	for _, d := range f.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
			for _, s := range g.Specs {
				specs = append(specs, s.(*ast.ValueSpec))
			}
		}
	}
	return specs
}

// marks are names of constants that go into what is signed, derived or hashed,
// or stand in front of a secret.
var marks = regexp.MustCompile(`(Label|Scheme|Genesis|noActor|algorithm|timeLayout|Alphabet)$`)

// labels returns the texts of a folder's code that tell what is signed, derived
// or hashed apart: those that begin with our name, constants that are named so,
// and what canonical strings are made of.
func labels(t *testing.T, folder string) (list []string) {
	t.Helper()
	for name, f := range (tree{}).files(t, folder) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		var nodes []ast.Node
		for _, s := range constants(f) {
			if marks.MatchString(s.Names[0].Name) && s.Names[0].Name != "idAlphabet" {
				nodes = append(nodes, s)
			}
		}
		for _, d := range f.Decls {
			if fn := nameOf(d); strings.HasSuffix(fn, ".Canonical") || fn == "LockKey" {
				nodes = append(nodes, d)
			}
		}
		for _, n := range nodes {
			list = append(list, texts(n, "")...)
		}
		for _, d := range f.Decls {
			list = append(list, texts(d, "claudemesh")...)
		}
	}
	return list
}

// texts returns the string literals below a node that begin with a prefix and
// have more than one character.
func texts(n ast.Node, prefix string) (list []string) {
	ast.Inspect(n, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil && len(text) > 1 && strings.HasPrefix(text, prefix) {
				list = append(list, text)
			}
		}
		return true
	})
	return list
}

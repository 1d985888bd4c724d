package app_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// flawCount is how many flaws of the original's HTTP side and of its operation are
// known.
const flawCount = 62

var flawName = regexp.MustCompile(`^TestFlaw([0-9]{2})[A-Z][A-Za-z0-9]+$`)

// TestFlawsAreAllTested holds that every flaw of the original has exactly one
// test of its number in the files flaws_*_test.go, wherever in the tree they are.
// Other tests may show more of a flaw. go test -run TestFlaw ./... runs them all.
func TestFlawsAreAllTested(t *testing.T) {
	found := map[int][]string{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", "node_modules", "bin"}, d.Name()):
			return fs.SkipDir
		case d.IsDir() || !strings.HasPrefix(d.Name(), "flaws_") || !strings.HasSuffix(d.Name(), "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "TestFlaw") || f.Name.Name == t.Name() {
				continue
			}
			m := flawName.FindStringSubmatch(f.Name.Name)
			if m == nil {
				t.Errorf("%s: %s: want TestFlaw, two digits, and what the flaw was", path, f.Name.Name)
				continue
			}
			n, _ := strconv.Atoi(m[1])
			found[n] = append(found[n], f.Name.Name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= flawCount; n++ {
		if len(found[n]) != 1 {
			t.Errorf("flaw %02d: got the tests %q, want one", n, found[n])
		}
		delete(found, n)
	}
	if len(found) > 0 {
		t.Errorf("tests of flaws that are not known: %v", found)
	}
}

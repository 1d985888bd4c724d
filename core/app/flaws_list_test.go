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

// How many flaws of the original are known: of its HTTP side and its operation,
// and of the messages beyond the core.
const (
	flawCount    = 62
	flawExtCount = 62
)

var (
	flawName    = regexp.MustCompile(`^TestFlaw([0-9]{2})[A-Z][A-Za-z0-9]+$`)
	flawExtName = regexp.MustCompile(`^TestFlawExt([0-9]{2}(?:And[0-9]{2})*)(?:[A-Z][A-Za-z0-9]+)?$`)
)

// TestFlawsAreAllTested holds that every flaw of the original has exactly one
// test of its number in the files flaws_*_test.go, wherever in the tree they are.
// Other tests may show more of a flaw. go test -run TestFlaw ./... runs them all.
func TestFlawsAreAllTested(t *testing.T) {
	found := flawTests(t, "flaws_", flawName)
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

// TestFlawsAreAllTestedOfMessages holds that every flaw of the original's messages
// beyond the core has a test of its number, or several: one feature shows it at a
// time.
func TestFlawsAreAllTestedOfMessages(t *testing.T) {
	found := flawTests(t, "", flawExtName)
	for n := 1; n <= flawExtCount; n++ {
		if len(found[n]) == 0 {
			t.Errorf("flaw %02d has no test", n)
		}
		delete(found, n)
	}
	if len(found) > 0 {
		t.Errorf("tests of flaws that are not known: %v", found)
	}
}

// flawTests returns the tests of flaws by number, from all test files of the tree
// whose name begins so.
func flawTests(t *testing.T, file string, form *regexp.Regexp) map[int][]string {
	t.Helper()
	found := map[int][]string{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", "node_modules", "bin"}, d.Name()):
			return fs.SkipDir
		case d.IsDir() || !strings.HasPrefix(d.Name(), file) || !strings.HasSuffix(d.Name(), "_test.go"):
			return nil
		}
		for _, name := range testsIn(t, path) {
			switch m := form.FindStringSubmatch(name); {
			case m != nil:
				for number := range strings.SplitSeq(m[1], "And") {
					n, _ := strconv.Atoi(number)
					found[n] = append(found[n], name)
				}
			case file != "" && strings.HasPrefix(name, "TestFlaw"):
				t.Errorf("%s: %s: want TestFlaw, two digits, and what the flaw was", path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// testsIn returns the tests of a file, but for those that look at tests.
func testsIn(t *testing.T, path string) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") && !strings.HasPrefix(f.Name.Name, "TestFlawsAre") {
			names = append(names, f.Name.Name)
		}
	}
	return names
}

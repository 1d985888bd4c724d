package logging_test

import (
	"flag"
	"go/ast"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the list of events in docs/logs.md")

// listBegins is the line in docs/logs.md below which the list is.
const listBegins = "<!-- What follows is made by go test ./core/logging -update; changes by hand are lost. -->\n"

// TestDocs holds the list of events in docs/logs.md to the calls of the log.
func TestDocs(t *testing.T) {
	t.Parallel()
	const file = "../../docs/logs.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	above, _, found := strings.Cut(string(text), listBegins)
	if !found {
		t.Fatalf("%s lacks the line %s", file, listBegins)
	}
	want := above + listBegins + eventList(t)
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(text), want); diff != "" {
		t.Errorf("%s is not what is logged; go test ./core/logging -update renews it\n-file +calls:\n%s", file, diff)
	}
}

// event is a call of the log.
type event struct {
	level, message, where string
	keys                  []string
}

// eventList is a table of all events, by folder and message.
func eventList(t *testing.T) string {
	t.Helper()
	all := map[string]event{} // by the row
	for _, root := range []string{"cmd/broker", "core", "stages"} {
		err := filepath.WalkDir("../../"+root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			c := newCalls(t, path)
			ast.Inspect(c.file, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					if e, ok := eventOf(call); ok {
						e.where = filepath.ToSlash(filepath.Dir(c.name))
						all[e.where+"\x00"+e.message+"\x00"+strings.Join(e.keys, " ")] = e
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	b.WriteString("\n| msg | level | keys | from |\n| --- | --- | --- | --- |\n")
	for _, row := range slices.Sorted(maps.Keys(all)) {
		e := all[row]
		b.WriteString("| " + e.message + " | " + e.level + " | " + strings.Join(e.keys, ", ") + " | `" + e.where + "` |\n")
	}
	return b.String()
}

// eventOf reads a call whose message is a constant.
func eventOf(call *ast.CallExpr) (e event, ok bool) {
	selector, isSelector := call.Fun.(*ast.SelectorExpr)
	if !isSelector {
		return e, false
	}
	at, logs := methods[selector.Sel.Name]
	of := last(selector.X)
	if !logs || !strings.EqualFold(of, "log") && of != "slog" || len(call.Args) <= at || !isText(call.Args[at]) {
		return e, false
	}
	e.message = textOf(call.Args[at])
	e.level = strings.ToLower(strings.TrimSuffix(selector.Sel.Name, "Context"))
	if e.level == "log" || e.level == "logattrs" {
		e.level = "by its cause"
	}
	for _, arg := range call.Args[at+1:] {
		ast.Inspect(arg, func(n ast.Node) bool {
			if inner, ok := n.(*ast.CallExpr); ok {
				if s, ok := inner.Fun.(*ast.SelectorExpr); ok && last(s.X) == "slog" && len(inner.Args) > 0 {
					e.keys = append(e.keys, textOf(inner.Args[0]))
				}
				return false
			}
			return true
		})
	}
	for i := at + 1; i < len(call.Args); i++ {
		if isText(call.Args[i]) {
			e.keys = append(e.keys, textOf(call.Args[i]))
			i++
		}
	}
	return e, true
}

// textOf is the value of a constant text.
func textOf(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.BasicLit:
		if x.Kind == token.STRING {
			text, _ := strconv.Unquote(x.Value)
			return text
		}
	case *ast.BinaryExpr:
		return textOf(x.X) + textOf(x.Y)
	case *ast.ParenExpr:
		return textOf(x.X)
	}
	return ""
}

package logging_test

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

// worded are the log calls whose message is no constant, and why that is right.
var worded = map[string]string{
	"cmd/broker/serve.go: serve":                    "warnings of the config, which name its keys",
	"core/reload/load.go: load":                     "warnings of the config, which name its keys",
	"core/cluster/node.go: failed":                  "its callers give it constants",
	"core/chain/link.go: report":                    "its callers give it constants",
	"core/pluginhost/supervise/supervisor.go: rest": "how often is the config's, and the link is an attribute too",
}

// snake is what a key looks like.
var snake = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// methods of a logger, and which of their arguments is the message.
var methods = map[string]int{
	"Debug": 0, "Info": 0, "Warn": 0, "Error": 0,
	"DebugContext": 1, "InfoContext": 1, "WarnContext": 1, "ErrorContext": 1, "Log": 2, "LogAttrs": 2,
}

// attributes are slog's functions that begin with a key.
var attributes = []string{"String", "Int", "Int64", "Uint64", "Float64", "Bool", "Time", "Duration", "Any", "Group", "GroupAttrs"}

// TestLogCalls holds that every message is a constant, so that lines can be
// searched for and counted, that keys are in snake_case, and that nobody in core
// or a stage prints instead.
func TestLogCalls(t *testing.T) {
	t.Parallel()
	var found, keys int
	excused := map[string]bool{}
	for _, root := range []string{"core", "stages", "cmd"} {
		err := filepath.WalkDir("../../"+root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == "testdata" || d.Name() == "scaffold" || strings.HasSuffix(d.Name(), "test")):
				return filepath.SkipDir
			case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			c := newCalls(t, path)
			c.walk()
			found += c.found
			keys += c.keys
			for name := range c.excused {
				excused[name] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 50 || keys < 80 {
		t.Errorf("only %d calls with %d keys were found: this test looks past them", found, keys)
	}
	for name := range worded {
		if !excused[name] {
			t.Errorf("%s needs no excuse any more", name)
		}
	}
}

// calls are the log calls of one file.
type calls struct {
	complain func(format string, args ...any)
	name     string // of the file, from the root of the module
	set      *token.FileSet
	file     *ast.File
	found    int
	keys     int
	excused  map[string]bool
}

func newCalls(t *testing.T, path string) *calls {
	t.Helper()
	c := &calls{complain: t.Errorf, set: token.NewFileSet(), excused: map[string]bool{}}
	var err error
	if c.file, err = parser.ParseFile(c.set, path, nil, 0); err != nil {
		t.Fatal(err)
	}
	c.name = strings.TrimPrefix(filepath.ToSlash(path), "../../")
	return c
}

func (c *calls) walk() {
	for _, decl := range c.file.Decls {
		where := "a variable"
		if f, ok := decl.(*ast.FuncDecl); ok {
			where = f.Name.Name
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				c.call(call, where)
			}
			return true
		})
	}
}

func (c *calls) call(call *ast.CallExpr, where string) {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return
	}
	method, of := selector.Sel.Name, last(selector.X)
	message, logs := methods[method]
	switch {
	case of == "slog" && slices.Contains(attributes, method):
		c.key(call.Args[0])
	case logs && (of == "slog" || strings.EqualFold(of, "log") || strings.EqualFold(of, "logger")) && len(call.Args) > message:
		c.found++
		c.message(call.Args[message], where)
		c.pairs(call.Args[message+1:])
	case of == "fmt" && strings.HasPrefix(method, "Print"), of == "log" && strings.HasPrefix(method, "Print"):
		c.print(call)
	case of == "fmt" && strings.HasPrefix(method, "Fprint") && isStream(call.Args[0]):
		c.print(call)
	}
}

// print refuses what is written past the log. Commands may: it is what they are
// for.
func (c *calls) print(call *ast.CallExpr) {
	if !strings.HasPrefix(c.name, "cmd/") {
		c.complain("%s: log it, or hand it to the caller, instead of printing it", c.set.Position(call.Pos()))
	}
}

func isStream(x ast.Expr) bool {
	s, ok := x.(*ast.SelectorExpr)
	return ok && last(s.X) == "os" && (s.Sel.Name == "Stdout" || s.Sel.Name == "Stderr")
}

func (c *calls) message(x ast.Expr, where string) {
	if isText(x) {
		return
	}
	name := c.name + ": " + where
	if _, ok := worded[name]; ok {
		c.excused[name] = true
		return
	}
	c.complain("%s: the message is no constant, so that nobody can search for it: put what changes into an attribute (%s)", c.set.Position(x.Pos()), name)
}

// pairs looks at arguments that are a key and its value, where they are no
// attributes.
func (c *calls) pairs(args []ast.Expr) {
	for i := 0; i < len(args); i++ {
		if literal, ok := args[i].(*ast.BasicLit); ok && literal.Kind == token.STRING {
			c.key(literal)
			i++
		}
	}
}

func (c *calls) key(x ast.Expr) {
	literal, ok := x.(*ast.BasicLit)
	if !ok {
		return // a constant of the package, or a plugin's own word in a group
	}
	text, err := strconv.Unquote(literal.Value)
	c.keys++
	if err != nil || !snake.MatchString(text) {
		c.complain("%s: the key %s is not in snake_case", c.set.Position(x.Pos()), literal.Value)
	}
	const plugins = "core/pluginhost/hop/logs.go" // whose lines have ids of their own
	if c.name != plugins && slices.Contains([]string{"time", "level", "msg", "trace_id", "span_id"}, text) {
		c.complain("%s: the key %s is the log's own", c.set.Position(x.Pos()), text)
	}
}

// isText reports whether an expression is a constant text.
func isText(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.BasicLit:
		return x.Kind == token.STRING
	case *ast.BinaryExpr:
		return isText(x.X) && isText(x.Y)
	case *ast.ParenExpr:
		return isText(x.X)
	default:
		return false
	}
}

// last is the last name of an expression such as s.options.Log.
func last(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return x.Sel.Name
	default:
		return ""
	}
}

// TestLogCallsAreSeen holds that the test above bites.
func TestLogCallsAreSeen(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		`s.log.Info("a " + name)`, `log.WarnContext(ctx, fmt.Sprintf("x"))`, `o.Log.Error(err.Error())`,
		`log.Info("a", "aKey", 1)`, `log.Info("a", slog.Int("a-key", 1))`, `log.Info("a", slog.Int("level", 1))`,
		`fmt.Println("a")`, `fmt.Fprintf(os.Stderr, "a")`, `log.Printf("a")`,
	} {
		seen := false
		c := &calls{complain: func(string, ...any) { seen = true }, name: "core/x.go", set: token.NewFileSet(), excused: map[string]bool{}}
		var err error
		if c.file, err = parser.ParseFile(c.set, "core/x.go", "package x\nfunc f() {\n"+line+"\n}\n", 0); err != nil {
			t.Fatal(err)
		}
		c.walk()
		if !seen {
			t.Errorf("%s is not seen", line)
		}
	}
}

package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/stages"
	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "rewrite docs/cli.md and configs/reference.md")

func TestExitCodes(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	for _, tt := range []struct {
		name  string
		code  int
		words string
		args  []string
	}{
		{"an unknown command is refused with what it may have been", exitUsage, "did you mean mesh?", []string{"mehs"}},
		{"an unknown command below another one", exitUsage, `broker mesh knows no command "make"`, []string{"mesh", "make"}},
		{"a group alone says what is below it", exitUsage, "create, list", []string{"mesh"}},
		{"an unknown flag", exitUsage, "--colour", []string{"mesh", "list", "--colour"}},
		{"a flag with a wrong value", exitUsage, "--members", []string{"mesh", "create", "x", "--members", "many"}},
		{"a duration without a unit", exitUsage, "7d", []string{"invite", "create", "x", "--ttl", "7"}},
		{"a missing argument is named", exitUsage, "needs MEMBER", []string{"member", "revoke", "home"}},
		{"an argument too many is shown", exitUsage, `"two"`, []string{"mesh", "create", "one", "two"}},
		{"serve takes no words", exitUsage, `"now"`, []string{"serve", "now"}},
		{"a set without a value", exitUsage, "key=value", []string{"config", "check", "--set", "listen"}},
		{"a peer without a membership", exitUsage, "--invite", []string{"peer", "listen"}},
		{"a peer with a broken invite", exitUsage, "token", []string{"peer", "listen", "--invite", "x"}},
		{"an unknown priority", exitUsage, "now, next or low", []string{"peer", "send", "bo", "hi", "--priority", "soon"}},
		{"an unknown key of the config", exitFailed, "did you mean listen?", []string{"config", "check", "--set", "lisen=:1"}},
		{"a config file that is not there", exitFailed, "nowhere.yaml", []string{"serve", "--config", x.home + "/nowhere.yaml"}},
		{"a store that is not there", exitFailed, "broker mesh create", x.on("mesh", "list")},
		{"a member file that is not there", exitFailed, "nobody.json", []string{"peer", "listen", "--member", x.home + "/nobody.json"}},
		{"a reload of nothing", exitFailed, "no broker runs", x.on("reload")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := *x
			x.t = t
			x.fails(tt.code, tt.words, tt.args...)
		})
	}
}

func TestPostgresThatIsNotThere(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	x.environ = []string{"DATABASE_URL=postgres://mesh:secret@db/mesh"}
	for _, args := range [][]string{{"serve"}, {"mesh", "list"}, {"mesh", "create", "x"}} {
		x.fails(exitFailed, "PostgreSQL", x.on(args...)...)
		if r := x.try(x.on(args...)...); strings.Contains(r.err, "secret") {
			t.Errorf("the password was printed: %s", r.err)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	if out := newTerminal(t).ok("version"); !strings.HasPrefix(out, "broker ") || !strings.Contains(out, "go1.") {
		t.Errorf("got %q", out)
	}
}

// TestDocs holds docs/cli.md to the help of all commands, every command to
// having an example, and configs/reference.md to the configuration.
func TestDocs(t *testing.T) {
	t.Parallel()
	for file, got := range map[string][]byte{
		"../../docs/cli.md":          cliManual(t),
		"../../configs/reference.md": config.Reference(stages.Builtins(stages.All(stages.Deps{}))),
	} {
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is not what the program says; go test ./cmd/broker -run Docs -update renews it\n-file +program:\n%s", file, diff)
		}
	}
}

// cliManual is the help of every command.
func cliManual(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("# Command line\n\nMade by `go test ./cmd/broker -run Docs -update` from the commands; changes by hand are lost.\n\n" +
		"Exit codes: 0 done, 1 failed, 2 the command line cannot be understood. Errors are one line on standard error.\n")
	p := &program{}
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if c.Name() == "help" || c.Name() == "completion" {
			return
		}
		if c.Example == "" || c.Short == "" {
			t.Errorf("%s has no example, or no line that says what it does", c.CommandPath())
		}
		var help bytes.Buffer
		c.SetOut(&help)
		if err := c.Help(); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "\n## %s\n\n```text\n%s```\n", c.CommandPath(), help.String())
		for _, below := range c.Commands() {
			visit(below)
		}
	}
	root := p.root()
	root.InitDefaultHelpCmd()
	visit(root)
	return b.Bytes()
}

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestReadme types what the README's way from nothing to two members says. Only
// what goes on in the background is the test's own, which can wait for it.
func TestReadme(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"sh", "curl", "openssl", "od", "sed", "tail", "tr"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool, "is not installed")
		}
	}
	x := newTerminal(t)
	_, url := x.serve()
	lines := x.readme(url)
	listen := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "broker peer listen ") })
	if listen < 1 || !strings.HasPrefix(lines[0], "broker serve ") {
		t.Fatalf("the README says\n%s", strings.Join(lines, "\n"))
	}
	said := x.shell(append(lines[1:listen:listen], `echo; echo "$LINK"`)...)
	link := said[strings.LastIndex(said, "\n")+1:]

	bo := x.start("peer", "listen", "--name", "bo", "--invite", link, "--count", "1")
	bo.err.wait(bo, "listening as bo")
	x.shell(append([]string{"LINK=" + link}, lines[listen+1:]...)...)
	bo.out.wait(bo, "cy: hello")
	members := x.ok(x.on("member", "list", "team")...)
	for _, want := range []string{"\nteam-owner ", " ada ", "\nbo ", "\ncy "} {
		if !strings.Contains(members, want) {
			t.Errorf("no %q in\n%s", want, members)
		}
	}
}

// readme returns the lines of the README's way to two members, for the broker at
// a URL on this terminal's data directory.
func (x *terminal) readme(url string) []string {
	x.t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		x.t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Sign in, invite, join\n")
	_, block, _ := strings.Cut(section, "\n```sh\n")
	block, _, _ = strings.Cut(block, "\n```\n")
	address := strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/ws")
	return strings.Split(strings.NewReplacer("127.0.0.1:7900", address, "--data-dir data", "--data-dir "+x.data).Replace(block), "\n")
}

// shell runs lines in which broker is this program, and returns what they print.
func (x *terminal) shell(lines ...string) string {
	x.t.Helper()
	self, err := os.Executable()
	if err != nil {
		x.t.Fatal(err)
	}
	bin := x.t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "broker")); err != nil {
		x.t.Fatal(err)
	}
	c := exec.CommandContext(x.t.Context(), "sh", "-e", "-c", strings.Join(lines, "\n"))
	c.Dir = x.home
	c.Env = append(x.env(), childVariable+"=1", "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	out, err := c.CombinedOutput()
	if err != nil {
		x.t.Fatalf("%v\n%s\n%s", err, strings.Join(lines, "\n"), out)
	}
	return strings.TrimSuffix(string(out), "\n")
}

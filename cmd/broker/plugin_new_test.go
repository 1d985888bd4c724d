package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// buildTime is how long a compiler may take.
const buildTime = 3 * time.Minute

// tool runs a program of a language in a directory.
func tool(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), buildTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=readonly", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func repository(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// A new plugin in Go builds, passes its tests, is one that a broker can rely
// on, and its link is one that a broker takes.
func TestPluginNewInGo(t *testing.T) {
	if testing.Short() {
		t.Skip("not tested: builds a module")
	}
	t.Parallel()
	x := newTerminal(t)
	dir := filepath.Join(x.home, "size-guard")
	out := x.ok("plugin", "new", "size-guard", "--dir", dir, "--sdk", repository(t), "--module", "example.com/team/size-guard")
	for _, want := range []string{"cd " + dir, "make ", "broker plugin validate bin/size-guard", "- stage: size-guard", "broker reload --wait --config broker.yaml"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if got := tool(t, dir, "gofmt", "-l", "."); got != "" {
		t.Errorf("gofmt would change %s", got)
	}
	tool(t, dir, "go", "vet", "./...")
	tool(t, dir, "go", "build", "-o", "bin/size-guard", ".")
	tool(t, dir, "go", "test", "./...")
	x.ok("plugin", "validate", filepath.Join(dir, "bin/size-guard"))
	checkLink(x, dir)

	x.fails(exitFailed, "nothing is overwritten", "plugin", "new", "size-guard", "--dir", dir)
	x.fails(exitFailed, "--sdk is the directory", "plugin", "new", "other", "--dir", dir+"2", "--sdk", dir)
}

// One that owns a type of request does, too.
func TestPluginNewOfAKind(t *testing.T) {
	if testing.Short() {
		t.Skip("not tested: builds a module")
	}
	t.Parallel()
	x := newTerminal(t)
	dir := filepath.Join(x.home, "notes")
	out := x.ok("plugin", "new", "notes", "--kind", "note_put", "--dir", dir, "--sdk", repository(t))
	if !strings.Contains(out, "kinds: [note_put]") {
		t.Errorf("what to type next:\n%s", out)
	}
	if got := tool(t, dir, "gofmt", "-l", "."); got != "" {
		t.Errorf("gofmt would change %s", got)
	}
	tool(t, dir, "go", "vet", "./...")
	tool(t, dir, "go", "build", "-o", "bin/notes", ".")
	tool(t, dir, "go", "test", "./...")
	shown := x.ok("plugin", "validate", filepath.Join(dir, "bin/notes"))
	for _, want := range []string{"owns note_put, answered by note_put_result", "role: owner", "ok   it answers what it owns"} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is not in\n%s", want, shown)
		}
	}
	checkLink(x, dir)
	x.fails(exitUsage, "is no type of request", "plugin", "new", "other", "--kind", "note-put")
}

// checkLink has the broker check the link that was written with a plugin.
func checkLink(x *terminal, dir string) {
	x.t.Helper()
	link, err := os.ReadFile(filepath.Join(dir, "link.yaml"))
	if err != nil {
		x.t.Fatal(err)
	}
	x.ok("config", "check", "--config", writeFile(x.t, "pipeline:\n  - stage: auth\n"+string(link)+"  - stage: route\n"))
}

func TestPluginNewInTypeScript(t *testing.T) {
	if testing.Short() {
		t.Skip("not tested: builds a program")
	}
	t.Parallel()
	x := newTerminal(t)
	dir := filepath.Join(x.home, "size-guard")
	out := x.ok("plugin", "new", "size-guard", "--lang", "typescript", "--dir", dir)
	if !strings.Contains(out, "npm run setup") || !strings.Contains(out, "broker plugin validate dist/size-guard --env PATH") {
		t.Errorf("what to type next:\n%s", out)
	}
	installPackages(t, dir)
	tool(t, dir, "node", "node_modules/typescript/bin/tsc")
	tool(t, dir, "node", "sdk/build.mjs", "--test", "test/stage.test.ts")
	tool(t, dir, "node", "--test", "build/")
	tool(t, dir, "node", "sdk/build.mjs", "src/main.ts", "dist/size-guard")
	x.ok("plugin", "validate", filepath.Join(dir, "dist/size-guard"), "--env", "PATH")
	checkLink(x, dir)
}

// installPackages puts packages where npm would, taken from where they are installed
// here. Without them, or without node, the test is skipped.
func installPackages(t *testing.T, dir string) {
	t.Helper()
	installed := filepath.Join(repository(t), "sdk/typescript/node_modules")
	if _, err := os.Stat(filepath.Join(installed, "typescript")); err != nil {
		t.Skip("not tested: npm ci was not run in sdk/typescript")
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("not tested: node is not installed")
	}
	modules := filepath.Join(dir, "node_modules")
	if err := os.MkdirAll(modules, 0o755); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{
		filepath.Join(dir, "sdk/node_modules"):      installed,
		filepath.Join(modules, "claudemesh-plugin"): filepath.Join(dir, "sdk"),
		filepath.Join(modules, "typescript"):        filepath.Join(installed, "typescript"),
		filepath.Join(modules, "@types"):            filepath.Join(installed, "@types"),
	} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPluginNewRefuses(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	dir := filepath.Join(x.home, "x")
	x.fails(exitUsage, "no name of a plugin", "plugin", "new", "Size_Guard", "--dir", dir)
	x.fails(exitUsage, "go or typescript", "plugin", "new", "guard", "--lang", "rust", "--dir", dir)
	x.fails(exitUsage, "plugins in Go", "plugin", "new", "guard", "--lang", "typescript", "--module", "m", "--dir", dir)
	if _, err := os.Stat(dir); err == nil {
		t.Error("a directory was made for nothing")
	}
	out := x.ok("plugin", "new", "guard", "--dir", dir)
	if !strings.Contains(out, "go mod tidy") {
		t.Errorf("without --sdk:\n%s", out)
	}
}

// Package contentsizeguard_test builds the plugin as its README says and runs
// it under the library that the broker starts plugins with.
package contentsizeguard_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

const sdkFolder = "../../sdk/typescript"

var folder string // holds the program and the sockets

func TestMain(m *testing.M) {
	if os.Getenv(hostEnv) != "" {
		host()
		return
	}
	var err error
	if folder, err = os.MkdirTemp("", "csg"); err != nil { // short: the path of a socket has 107 bytes at most
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

// errMissing is what a machine lacks, and no fault of ours.
type errMissing string

func (e errMissing) Error() string { return string(e) }

// program returns the path of the built program. The test is skipped where it
// cannot be built.
func program(t *testing.T) string {
	t.Helper()
	path, err := built()
	if missing := errMissing(""); errors.As(err, &missing) {
		t.Skip(missing)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var built = sync.OnceValues(func() (string, error) {
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "", errMissing("not tested: " + tool + " is not installed")
		}
	}
	version, err := run(".", "node", "--version")
	if err != nil {
		return "", err
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < 20 {
		return "", errMissing("not tested: node is " + version + ", the plugin needs 20.3 or later")
	}
	for _, dir := range []string{sdkFolder, "."} {
		if installed(dir) {
			continue
		}
		if out, err := run(dir, "npm", "ci", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=20000"); err != nil {
			return "", errMissing("not tested: the npm packages of " + dir + " cannot be installed: " + out)
		}
	}
	path := filepath.Join(folder, "content-size-guard")
	if out, err := run(".", "node", sdkFolder+"/build.mjs", "src/main.ts", path); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// installed reports whether the packages are those of the lock file.
func installed(dir string) bool {
	lock, err := os.Stat(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return false
	}
	last, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json"))
	return err == nil && !last.ModTime().Before(lock.ModTime())
}

func run(dir, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// The tests in TypeScript hold the limits and the protocol in detail.
func TestNPM(t *testing.T) {
	if testing.Short() {
		t.Skip("not tested: takes 10 s and more")
	}
	program(t)
	for _, dir := range []string{sdkFolder, "."} {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			if out, err := run(dir, "npm", "test"); err != nil {
				t.Errorf("npm test: %v\n%s", err, out)
			}
		})
	}
}

// The TypeScript side has copies of what both sides agree on.
func TestCopies(t *testing.T) {
	read := func(path string) string {
		t.Helper()
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	if read(sdkFolder+"/proto/plugin.proto") != read("../../sdk/plugin/pluginpb/plugin.proto") {
		t.Error("sdk/typescript/proto/plugin.proto is not the plugin.proto of sdk/plugin/pluginpb: copy it, " +
			"and see whether sdk/typescript/src/protocol.ts still has the names of the fields")
	}
	serve, protocol := read(sdkFolder+"/src/serve.ts"), read(sdkFolder+"/src/protocol.ts")
	for _, want := range []struct{ in, text string }{
		{serve, fmt.Sprintf("const cookieKey = %q;", pluginpb.CookieKey)},
		{serve, fmt.Sprintf("const cookieValue = %q;", pluginpb.CookieValue)},
		{serve, fmt.Sprintf("const major = %d;", pluginpb.Major)},
		{serve, fmt.Sprintf("const lifelineEnv = %q;", pluginpb.LifelineEnv)},
		{protocol, fmt.Sprintf("export const maxMessage = %d << 20;", pluginpb.MaxMessage>>20)},
	} {
		if !strings.Contains(want.in, want.text) {
			t.Errorf("sdk/typescript/src lacks %s", want.text)
		}
	}
}

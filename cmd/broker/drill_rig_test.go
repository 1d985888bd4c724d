package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/pluginhost"
)

// Drills are tests of the whole with plugins: real processes, and real peers.
// The plugin is testdata/drill.

// drillProgram is the plugin's program, which is built once.
var drillProgram = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "drill")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "drill")
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", path, "./testdata/drill")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(path)
})

// newDrill puts the plugin's program into a directory of the test.
func newDrill(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "drill")
	program, err := drillProgram()
	if err != nil {
		t.Fatal(err)
	}
	install(t, path, program)
	return path
}

// install puts a program in place in one step. No process may be started while
// it is open for writing: a copy of the descriptor would keep it from running.
func install(t *testing.T, path string, program []byte) {
	t.Helper()
	syscall.ForkLock.RLock()
	err := os.WriteFile(path+".new", program, 0o700)
	syscall.ForkLock.RUnlock()
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// drillLink is the link of the plugin in a pipeline: with these options, and
// with more lines below plugin and below the link.
type drillLink struct {
	name, path string
	options    string // of the stage, as in "sleep: 1ms"
	plugin     string // lines, as in "hold_max: 1s"
	link       string // lines, as in "required: false"
}

// String returns the link as an element of a pipeline. Nothing in it is quick to
// lose patience, unless its lines say so: the machine may be busy.
func (l drillLink) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  - stage: drill\n    name: %s\n    with: {%s}\n", l.name, l.options)
	lines := func(indent, defaults, own string) {
		for line := range strings.SplitSeq(defaults, "\n") {
			key, _, _ := strings.Cut(line, ":")
			if !strings.Contains("\n"+own, "\n"+key+":") {
				own += "\n" + line
			}
		}
		for line := range strings.SplitSeq(strings.TrimSpace(own), "\n") {
			fmt.Fprintf(&b, "%s%s\n", indent, line)
		}
	}
	lines("    ", "deadline: 10s", l.link)
	fmt.Fprintf(&b, "    plugin:\n      path: %s\n", l.path)
	lines("      ", "hold_max: 10s\nhang_after: 10s\nrestart: {first: 10ms, most: 100ms, crashes: 100}", l.plugin)
	return b.String()
}

// drilled is a config with drill links before the route, which reloads when it is
// told to.
func drilled(limit string, links ...drillLink) string {
	var b strings.Builder
	fmt.Fprintf(&b, "pipeline:\n  - stage: auth\n  - stage: grants\n  - stage: rate-limit\n    with: {%s}\n", limit)
	for _, l := range links {
		b.WriteString(l.String())
	}
	b.WriteString("  - stage: route\n  - stage: audit\nreload: {watch: false}\n")
	return b.String()
}

// unlimited is rate-limit without a limit.
const unlimited = `send: "off"`

// drillFile makes a config file of it.
func (x *terminal) drillFile(links ...drillLink) string {
	x.t.Helper()
	return writeFile(x.t, drilled(unlimited, links...))
}

// serveChild starts a broker in a process of its own and returns it with its
// URL, when it is ready.
func (x *terminal) serveChild(config string, args ...string) (*process, string) {
	x.t.Helper()
	p := x.child(x.on(append([]string{"serve", "--listen", "127.0.0.1:0", "--durability", "process", "--config", config}, args...)...)...)
	line := p.out.wait(p.running, "ready ws://")
	return p, strings.TrimSpace(strings.TrimPrefix(line, "ready "))
}

// plugin returns the status of a link's plugin, of which there is one.
func (x *terminal) plugin(link string) pluginhost.Status {
	x.t.Helper()
	list := *parse[[]pluginhost.Status](x.t, x.ok(x.on("plugin", "status", link, "--json")...))
	if len(list) != 1 {
		x.t.Fatalf("%d plugins of %s, want 1: %+v", len(list), link, list)
	}
	return list[0]
}

// until waits for a plugin to be as it should, and returns its status.
func (x *terminal) until(link, what string, ok func(pluginhost.Status) bool) pluginhost.Status {
	x.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		s := x.plugin(link)
		if ok(s) {
			return s
		}
		if time.Now().After(deadline) {
			x.t.Fatalf("waited %v for %s; the plugin is %+v", patience, what, s)
		}
	}
}

// gone reports whether a process has ended; one that nobody has waited for yet
// has.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) != nil
	}
	_, rest, _ := bytes.Cut(stat, []byte(") "))
	return bytes.HasPrefix(rest, []byte("Z")) || bytes.HasPrefix(rest, []byte("X"))
}

// socketDirs are the directories of plugins' lives.
func (x *terminal) socketDirs() []string {
	x.t.Helper()
	dirs, err := filepath.Glob(filepath.Join(x.data, "plugins", "p*"))
	if err != nil {
		x.t.Fatal(err)
	}
	return dirs
}

// logs shows what a broker has logged, when the test has failed.
func (p *process) logs() {
	p.t.Cleanup(func() {
		if p.t.Failed() {
			p.t.Log(tail(p.err.String()))
		}
	})
}

// healthy wants no race and no panic in the log.
func (p *process) healthy() {
	p.t.Helper()
	for _, bad := range []string{"DATA RACE", "panic:", "fatal error:"} {
		if log := p.err.String(); strings.Contains(log, bad) {
			p.t.Errorf("the broker says\n%s", tail(log))
		}
	}
}

// quit stops the broker politely and wants it to end well.
func (p *process) quit() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != exitOK {
		p.t.Errorf("exit %d\n%s", code, tail(p.err.String()))
	}
	p.healthy()
}

// ready asks /health/ready.
func (x *terminal) ready(url string) (status int, answer string) {
	x.t.Helper()
	base := "http" + strings.TrimSuffix(strings.TrimPrefix(url, "ws"), "/ws")
	a := parse[healthAnswer](x.t, x.try("health", "--ready", "--json", "--url", base).out)
	return a.Status, strings.Join(strings.Fields(string(a.Answer)), "")
}

// team is a mesh whose members the drills are.
func (x *terminal) team(n int) *admin.NewMesh {
	x.t.Helper()
	return x.newMesh("team", fmt.Sprint(n))
}

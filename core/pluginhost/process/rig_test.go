package process_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/pluginhost/process"
	"github.com/claudemesh/broker/core/pluginhost/process/processtest"
	"go.uber.org/goleak"
)

// patience is how long a test waits for what has to happen.
const patience = 20 * time.Second

// hostEnv makes the test program a host that starts a plugin, prints its number
// and waits to be killed. The value is the run directory.
const hostEnv = "PROCESS_TEST_HOST"

func TestMain(m *testing.M) {
	processtest.Run()
	if dir := os.Getenv(hostEnv); dir != "" {
		runHost(dir)
	}
	goleak.VerifyTestMain(m)
}

// runHost is the host of the test that kills it.
func runHost(dir string) {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	prog, err := process.Open(path, "")
	if err != nil {
		panic(err)
	}
	p, err := process.Start(context.Background(), prog, process.Options{RunDir: dir, Env: []string{processtest.ModeEnv, "GORACE"}})
	if err != nil {
		panic(err)
	}
	fmt.Println(p.PID())
	select {}
}

// startHost starts a host and returns it with its plugin's number.
func startHost(t *testing.T, dir string) (host *exec.Cmd, plugin int) {
	t.Helper()
	host = exec.CommandContext(t.Context(), self(t))
	host.Env = append(os.Environ(), hostEnv+"="+dir, processtest.ModeEnv+"="+processtest.Serve, "GORACE=atexit_sleep_ms=0")
	host.Stderr = os.Stderr
	out, err := host.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = host.Process.Kill()
		_ = host.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the host said %q: %v", line, err)
	}
	plugin, err = strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return host, plugin
}

func self(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, path, pin string) *process.Program {
	t.Helper()
	prog, err := process.Open(path, pin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = prog.Close() })
	return prog
}

// rig is a plugin program with the options of its lives.
type rig struct {
	prog    *process.Program
	options process.Options
	lines   *lines
}

// newRig is a rig for the test program in a mode. It fails the test when a life
// leaves anything in the run directory.
func newRig(t testing.TB, mode string) *rig {
	t.Helper()
	t.Setenv(processtest.ModeEnv, mode)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector lets an exit wait for 1 s
	dir := shortDir(t)
	t.Cleanup(func() { wantEmpty(t, dir) })
	l := &lines{}
	return &rig{
		prog:    open(t, self(t), ""),
		options: process.Options{RunDir: dir, Env: []string{processtest.ModeEnv, "GORACE"}, StartTimeout: patience, Output: l.add},
		lines:   l,
	}
}

// start starts a life that the test's end kills.
func (r *rig) start(t testing.TB) *process.Process {
	t.Helper()
	p, err := process.Start(context.Background(), r.prog, r.options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		_ = p.Stop(context.Background())
	})
	return p
}

// shortDir is like t.TempDir with a path that has room for sockets.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "r") //nolint:usetesting // t.TempDir has the name of the test in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// lines collects what a plugin printed.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) add(stream, line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, stream+": "+line)
}

func (l *lines) have() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.all...)
}

func ask(t testing.TB, p *process.Process, command, options string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	got, err := processtest.Ask(ctx, p.Conn(), command, options)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return got
}

// crash gives a command that the plugin does not survive.
func crash(t testing.TB, p *process.Process, command string) process.Exit {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if got, err := processtest.Ask(ctx, p.Conn(), command, ""); err == nil {
		t.Fatalf("%s: got %q and no error", command, got)
	}
	return ended(t, p)
}

func ended(t testing.TB, p *process.Process) process.Exit {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(patience):
		t.Fatal("the process did not end")
	}
	return p.Exit()
}

// eventually polls, because what is waited for is the system's to do.
func eventually(t testing.TB, within time.Duration, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}

// alive reports whether a process is there and is not a zombie.
func alive(pid int) bool {
	state := processtest.State(fmt.Sprintf("/proc/%d/stat", pid))
	return state != "" && state != "Z" && state != "X"
}

// freeze stops a process and waits until each of its threads has stopped.
func freeze(t testing.TB, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "all threads have stopped", func() bool { return processtest.Stopped(pid) })
}

func wantEmpty(t testing.TB, dir string) {
	t.Helper()
	eventually(t, patience, dir+" is empty", func() bool {
		left, err := filepath.Glob(filepath.Join(dir, "*"))
		return err == nil && len(left) == 0
	})
}

package process_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/pluginhost/process"
	"github.com/claudemesh/broker/core/pluginhost/process/processtest"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// wantNoChildren finds children of this process, dead or alive.
func wantNoChildren(t *testing.T) {
	t.Helper()
	eventually(t, patience, "no child is left", func() bool { return len(children(t)) == 0 })
}

func children(t *testing.T) (found []string) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it is gone
		}
		stat := string(raw)
		fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
		if len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
			found = append(found, stat)
		}
	}
	return found
}

// go-plugin's Kill waits for ever here.
func TestStopOfAStoppedProcess(t *testing.T) {
	r := newRig(t, processtest.Serve)
	p := r.start(t)
	freeze(t, p.PID())
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	err := p.Stop(ctx)
	took := time.Since(begun)
	if err == nil || !strings.Contains(err.Error(), "was killed") {
		t.Errorf("got %v", err)
	}
	if took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
	t.Logf("stopped in %s", took)
	if e := ended(t, p); e.Signal != "killed" {
		t.Errorf("it ended with %+v", e)
	}
	wantNoChildren(t)
}

func TestKill(t *testing.T) {
	r := newRig(t, processtest.Serve)
	p := r.start(t)
	freeze(t, p.PID())
	p.Kill()
	if e := ended(t, p); e.Signal != "killed" || e.Code != -1 {
		t.Errorf("it ended with %+v", e)
	}
	p.Kill() // nobody
	if err := p.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// SIGTERM comes before SIGKILL, and neither before the time is over.
func TestStopEscalates(t *testing.T) {
	tests := []struct {
		name, mode string
		grace      time.Duration
		want       string
	}{
		{"it waits for a slow end longer than go-plugin would", processtest.SlowEnd, patience, "<nil>"},
		{"it sends SIGTERM when the time is over", processtest.SlowEnd, 50 * time.Millisecond, "was sent SIGTERM"},
		{"it kills what ignores SIGTERM", processtest.NeverEnd, 50 * time.Millisecond, "was killed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.mode)
			p := r.start(t)
			ctx, cancel := context.WithTimeout(t.Context(), tt.grace)
			defer cancel()
			if err := p.Stop(ctx); !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			wantNoChildren(t)
		})
	}
}

func TestDrainComesBeforeTheEnd(t *testing.T) {
	r := newRig(t, processtest.Serve)
	p := r.start(t)
	if _, err := pluginpb.NewPluginClient(p.Conn()).Drain(t.Context(), &pluginpb.DrainRequest{}); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if e := p.Exit(); e.Code != 0 || !strings.Contains(e.Stderr, processtest.DrainedMark) {
		t.Errorf("it ended with %+v", e)
	}
}

// The host is killed; the lifeline ends the plugin, and the next host sweeps
// what it left.
func TestHostIsKilled(t *testing.T) {
	dir := shortDir(t)
	host, plugin := startHost(t, dir)
	if left, _ := filepath.Glob(filepath.Join(dir, "p*", "plugin*")); len(left) == 0 {
		t.Fatal("the plugin has no socket")
	}
	if err := process.Sweep(dir); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "p*")); len(left) != 1 {
		t.Fatalf("a sweep while the host lives left %v", left)
	}

	if err := host.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	eventually(t, time.Second, "the plugin is gone", func() bool { return !alive(plugin) })
	t.Logf("the plugin was gone after %s", time.Since(begun))
	_ = host.Wait()

	if left, _ := filepath.Glob(filepath.Join(dir, "p*")); len(left) != 1 {
		t.Errorf("the killed host left %v", left)
	}
	if err := process.Sweep(dir); err != nil {
		t.Fatal(err)
	}
	wantEmpty(t, dir)
}

// A child that the plugin leaves behind ends with it, and its open pipes do not
// keep the host waiting.
func TestGroupEndsTogether(t *testing.T) {
	r := newRig(t, processtest.Serve)
	p := r.start(t)
	grandchild, err := strconv.Atoi(ask(t, p, processtest.Spawn, ""))
	if err != nil {
		t.Fatal(err)
	}
	if e := crash(t, p, processtest.Exit); e.Code != 3 {
		t.Errorf("it ended with %+v", e)
	}
	eventually(t, patience, "the grandchild is gone", func() bool { return !alive(grandchild) })
	wantNoChildren(t)
}

// A life is used once; the next one is a new process with nothing of the first.
func TestLivesFollowEachOther(t *testing.T) {
	r := newRig(t, processtest.Serve)
	r.options.MTLS = true
	pids := map[int]bool{}
	for range 3 {
		p := r.start(t)
		pids[p.PID()] = true
		if got := ask(t, p, processtest.Ping, ""); got != "pong" {
			t.Errorf("got %q", got)
		}
		crash(t, p, processtest.Exit)
		if _, err := processtest.Ask(t.Context(), p.Conn(), processtest.Ping, ""); err == nil {
			t.Error("a dead life answered")
		}
	}
	if len(pids) != 3 {
		t.Errorf("got processes %v", pids)
	}
	wantNoChildren(t)
}

// Sockets of lives that crash do not pile up.
func TestSocketsAreRemoved(t *testing.T) {
	r := newRig(t, processtest.Serve)
	p := r.start(t)
	left, _ := filepath.Glob(filepath.Join(r.options.RunDir, "p*", "plugin*"))
	if len(left) < 1 {
		t.Fatalf("the socket is not in the run directory: %v", left)
	}
	info, err := os.Stat(filepath.Dir(left[0]))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory is %v, %v", info.Mode(), err)
	}
	p.Kill()
	ended(t, p)
	wantEmpty(t, r.options.RunDir)
}

func TestLongRunDir(t *testing.T) {
	r := newRig(t, processtest.Serve)
	r.options.RunDir = filepath.Join(r.options.RunDir, strings.Repeat("long", 30))
	p := r.start(t)
	if got := ask(t, p, processtest.Ping, ""); got != "pong" {
		t.Errorf("got %q", got)
	}
	if err := process.Sweep(r.options.RunDir); err != nil {
		t.Error(err)
	}
	if got := ask(t, p, processtest.Ping, ""); got != "pong" {
		t.Errorf("after a sweep: got %q", got)
	}
}

// Lives, good and bad, leave no descriptor open.
func TestDescriptorsAreClosed(t *testing.T) {
	open := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("this system does not show descriptors")
		}
		return len(fds)
	}
	r := newRig(t, processtest.Serve)
	live := func() {
		p := r.start(t)
		p.Kill()
		if err := p.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		t.Setenv(processtest.ModeEnv, processtest.Garbage)
		if _, err := process.Start(t.Context(), r.prog, r.options); err == nil {
			t.Error("garbage started")
		}
		t.Setenv(processtest.ModeEnv, processtest.Serve)
	}
	live() // what is opened once is open now
	before := open()
	for range 3 {
		live()
	}
	eventually(t, patience, "no more descriptors are open than before", func() bool { return open() <= before })
}

package main

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/admin"
)

// childVariable makes this test program be the broker, so that there is a
// process to send signals to.
const childVariable = "BROKER_TEST_CHILD"

// process is a broker in a process of its own.
type process struct {
	*running
	cmd *exec.Cmd
}

// child starts a command in a process of its own.
func (x *terminal) child(args ...string) *process {
	x.t.Helper()
	self, err := os.Executable()
	if err != nil {
		x.t.Fatal(err)
	}
	p := &process{cmd: exec.CommandContext(x.t.Context(), self, args...)}
	p.running = &running{t: x.t, args: args, out: newScreen(), err: newScreen(), ended: make(chan int, 1)}
	p.cmd.Env = append(x.env(), childVariable+"=1", "GORACE=atexit_sleep_ms=0") // or the race detector lets its end wait for 1 s
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.err
	if err := p.cmd.Start(); err != nil {
		x.t.Fatal(err)
	}
	go func() {
		err := p.cmd.Wait()
		code := -1
		var exit *exec.ExitError
		if err == nil || errors.As(err, &exit) {
			code = p.cmd.ProcessState.ExitCode()
		}
		p.ended <- code
	}()
	return p
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	x, other := newTerminal(t), newTerminal(t)
	_, url := x.serve()
	address := strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/ws")
	second := other.child(other.on("serve", "--listen", address)...)
	if code := second.wait(); code != exitFailed || !strings.Contains(second.err.String(), "broker: listen on "+address) {
		t.Errorf("exit %d\n%s", code, second.err)
	}
}

// TestKilledBroker holds that what a killed broker leaves, its lock, its socket
// and its messages, is no obstacle and not lost.
func TestKilledBroker(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	broker := x.child(x.on("serve", "--listen", "127.0.0.1:0")...)
	broker.out.wait(broker.running, "ready ")
	keys := filepath.Join(x.home, "keys")
	m := parse[admin.NewMesh](t, x.ok(x.on("mesh", "create", "team", "--members", "2", "--save", keys, "--json")...))
	x.ok("peer", "send", "--member", filepath.Join(keys, "member-1.json"), m.Members[1].Key.String(), "before the end")
	broker.signal(syscall.SIGKILL)
	broker.wait()
	if _, err := os.Stat(filepath.Join(x.data, "broker.sock")); err != nil {
		t.Errorf("the socket is gone, so that this test shows nothing: %v", err)
	}

	x.ok(x.on("mesh", "list")...) // works on the store, past the dead socket
	_, url := x.serve()
	listener := x.start("peer", "listen", "--member", filepath.Join(keys, "member-2.json"), "--url", url, "--count", "1")
	if code := listener.wait(); code != exitOK || !strings.Contains(listener.out.String(), "before the end") {
		t.Errorf("exit %d\n%s%s", code, listener.out, listener.err)
	}
}

func TestSignalsStopServe(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		x := newTerminal(t)
		start := time.Now()
		broker := x.child(x.on("--listen", "127.0.0.1:0")...)
		broker.out.wait(broker.running, "ready ")
		broker.signal(s)
		if code := broker.wait(); code != exitOK || !strings.Contains(broker.err.String(), `"msg":"stopped"`) {
			t.Errorf("%v: exit %d after %v\n%s", s, code, time.Since(start), broker.err)
		}
		if left, _ := filepath.Glob(filepath.Join(x.data, "broker.sock*")); len(left) > 0 {
			t.Errorf("%v left %v behind", s, left)
		}
	}
}

// TestSecondSignalKills holds the graceful stop up by a request whose body never
// comes.
func TestSecondSignalKills(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	broker := x.child(x.on("--listen", "127.0.0.1:0", "--set", "shutdown_timeout=10m")...)
	ready := broker.out.wait(broker.running, "ready ws://")
	address := strings.TrimSuffix(strings.TrimPrefix(ready, "ready ws://"), "/ws\n")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST /join HTTP/1.1\r\nHost: broker\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, len("HTTP/1.1 100"))); err != nil { // the broker waits for the body
		t.Fatal(err)
	}
	broker.signal(syscall.SIGTERM)
	broker.err.wait(broker.running, `"msg":"stopping"`)
	broker.signal(syscall.SIGTERM)
	if code := broker.wait(); code != exitFailed || !strings.Contains(broker.err.String(), "second signal") {
		t.Errorf("exit %d\n%s", code, broker.err)
	}
}

package plugin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// build builds the program of testdata.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./testdata/program").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// dispensed is the broker's side for go-plugin.
type dispensed struct {
	goplugin.NetRPCUnsupportedPlugin
}

func (dispensed) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error { return errors.New("not here") }

func (dispensed) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return pluginpb.NewPluginClient(conn), nil
}

// text is a buffer for several writers.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *text) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *text) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// process is a plugin in a real process, launched as the broker does.
type process struct {
	*rig
	cmd      *exec.Cmd
	client   *goplugin.Client
	stderr   *text
	lifeline *os.File
}

func launch(t *testing.T, program string) *process {
	t.Helper()
	end, lifeline, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(program), stderr: &text{}, lifeline: lifeline}
	p.cmd.ExtraFiles = []*os.File{end}
	p.cmd.Env = append(os.Environ(), pluginpb.LifelineEnv+"=3")
	p.client = goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{MagicCookieKey: pluginpb.CookieKey, MagicCookieValue: pluginpb.CookieValue},
		VersionedPlugins: map[int]goplugin.PluginSet{pluginpb.Major: {pluginpb.PluginName: dispensed{}}},
		Cmd:              p.cmd, AutoMTLS: true, AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		GRPCDialOptions: []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.ForceCodecV2(pluginpb.Codec{}))},
		Logger:          hclog.NewNullLogger(), Stderr: p.stderr, StartTimeout: patience,
	})
	t.Cleanup(func() {
		p.client.Kill()
		_, _ = end.Close(), lifeline.Close()
	})
	conn, err := p.client.Client()
	if err != nil {
		t.Fatal(err, p.stderr)
	}
	_ = end.Close()
	raw, err := conn.Dispense(pluginpb.PluginName)
	if err != nil {
		t.Fatal(err)
	}
	p.rig = &rig{PluginClient: raw.(pluginpb.PluginClient), t: t}
	return p
}

// until waits for a condition.
func until(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !happened(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what, "did not happen")
		}
	}
}

func TestProcess(t *testing.T) {
	program := build(t)

	t.Run("it judges, logs and prints", func(t *testing.T) {
		p := launch(t, program)
		p.hello()
		p.configure("word", "one", `{"word": "nope"}`)
		s := p.open("one")
		s.batch(1, envelope(1, "yes"), envelope(1, "nope"))
		var verdicts *pluginpb.Verdicts
		var logged []string
		for verdicts == nil || len(logged) < 2 {
			frame := s.frame()
			if frame.Verdicts != nil {
				verdicts = frame.Verdicts
			}
			for _, r := range frame.Logs {
				logged = append(logged, r.Message+" "+r.Attributes[0].Key+"="+r.Attributes[0].Value)
			}
		}
		want := &pluginpb.Verdicts{Seq: 1, Count: 2, DefaultVerdict: 1, Exceptions: []*pluginpb.Verdict{
			{Index: 1, Verdict: 2, Reason: "word", Text: "not that word"},
		}}
		if diff := cmp.Diff(want, verdicts, protocmp.Transform()); diff != "" {
			t.Errorf("verdicts (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"judged envelope.id=yes", "judged envelope.id=nope"}, logged); diff != "" {
			t.Errorf("logs (-want +got):\n%s", diff)
		}
		for _, line := range []string{
			"printed while the broker waits for the first line", "printed to standard output", "printed to the old standard output",
		} {
			until(t, line, func() bool { return strings.Contains(p.stderr.String(), line) })
		}
		if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", p.cmd.Process.Pid)); err == nil && string(comm) != "program\n" {
			t.Errorf("the process is called %s", comm)
		}
		p.client.Kill() // asks it to end first
		until(t, "Stop", func() bool { return strings.Contains(p.stderr.String(), "stopped in order") })
	})

	t.Run("it drains on SIGTERM", func(t *testing.T) {
		p := launch(t, program)
		p.hello()
		p.configure("word", "one", "")
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		until(t, "exit", p.client.Exited)
		if !strings.Contains(p.stderr.String(), "stopped in order") || p.cmd.ProcessState.ExitCode() != 0 {
			t.Errorf("%v, stderr %s", p.cmd.ProcessState, p.stderr)
		}
	})

	t.Run("it ignores SIGINT and ends with its lifeline", func(t *testing.T) {
		p := launch(t, program)
		if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		p.hello()
		_ = p.lifeline.Close()
		until(t, "exit", p.client.Exited)
		if p.cmd.ProcessState.ExitCode() != 0 {
			t.Errorf("%v, stderr %s", p.cmd.ProcessState, p.stderr)
		}
	})

	t.Run("it ends with code 3 at the third panic", func(t *testing.T) {
		p := launch(t, program)
		p.hello()
		p.configure("word", "one", "")
		s := p.open("one")
		s.batch(1, envelope(1, "panic"), envelope(1, "fine"), envelope(1, "panic"))
		if v := s.verdicts(); len(v.Exceptions) != 2 || v.Exceptions[1].Error != "panic: as told" {
			t.Errorf("verdicts: %v", v)
		}
		s.batch(2, envelope(1, "panic"))
		until(t, "exit", p.client.Exited)
		if p.cmd.ProcessState.ExitCode() != 3 || !strings.Contains(p.stderr.String(), "3 panics within 1m0s") {
			t.Errorf("%v, stderr %s", p.cmd.ProcessState, p.stderr)
		}
	})

	t.Run("it says what it is to who starts it by hand", func(t *testing.T) {
		var stderr bytes.Buffer
		cmd := exec.CommandContext(t.Context(), program)
		cmd.Stderr = &stderr
		err := cmd.Run()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 {
			t.Errorf("ended with %v", err)
		}
		for _, part := range []string{"program 0.1.0 is a plugin", "Stage word: refuses one word", `{"word":"no"}`, "broker plugin validate"} {
			if !strings.Contains(stderr.String(), part) {
				t.Errorf("%q is not in\n%s", part, &stderr)
			}
		}
	})

	t.Run("it describes itself as JSON", func(t *testing.T) {
		out, err := exec.CommandContext(t.Context(), program, "--describe").Output()
		if err != nil {
			t.Fatal(err)
		}
		var d struct {
			Name   string
			Stages []struct {
				Name   string
				Schema struct {
					Properties map[string]struct{ Description, Default string }
				} `json:"options_schema"`
			}
		}
		if err := json.Unmarshal(out, &d); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		word := d.Stages[0].Schema.Properties["word"]
		if d.Name != "program" || word.Description != "message ids that are refused" || word.Default != "no" {
			t.Errorf("described as %s", out)
		}
	})
}

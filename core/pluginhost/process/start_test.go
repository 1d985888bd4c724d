package process_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/pluginhost/process"
	"github.com/claudemesh/broker/core/pluginhost/process/processtest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestStart(t *testing.T) {
	for name, mtls := range map[string]bool{"it answers without certificates": false, "it answers with certificates": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, processtest.Serve)
			r.options.MTLS = mtls
			r.options.Args = []string{"one", "two words"}
			p := r.start(t)
			if got := ask(t, p, processtest.Ping, ""); got != "pong" {
				t.Errorf("got %q", got)
			}
			if got, want := ask(t, p, processtest.CommandLine, ""), self(t)+"\none\ntwo words"; got != want {
				t.Errorf("it was started as %q, want %q", got, want)
			}
			if u := p.Usage(); u.RSSBytes < 1<<20 {
				t.Errorf("it uses %+v", u)
			}
			begun := time.Now()
			if err := p.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			t.Logf("stopped in %s", time.Since(begun))
			if e := p.Exit(); e.Code != 0 || e.Signal != "" {
				t.Errorf("it ended with %+v", e)
			}
			if u := p.Usage(); u != (process.Usage{}) {
				t.Errorf("after its end it uses %+v", u)
			}
		})
	}
}

// A start that fails says in one line what happened and leaves nothing.
func TestStartFails(t *testing.T) {
	tests := []struct {
		name, mode string
		mtls       bool
		timeout    time.Duration
		want       []string
	}{
		{"it quotes what was printed before the handshake", processtest.Garbage, false, patience, []string{`wrote "hello from the plugin" to stdout`, "print to stderr"}},
		{"it does not read for ever", processtest.Endless, false, patience, []string{`wrote "junkjunk`, "and more to stdout"}},
		{"it waits no longer than it may", processtest.Silent, false, time.Second, []string{"sent no handshake: a start may take 1s"}},
		{"it quotes a handshake without an end", processtest.Stuck, false, time.Second, []string{`only "1|1|un": a start may take 1s`}},
		{"it says how the program ended", processtest.Fails, false, patience, []string{`ended with exit code 7, after "no licence"`}},
		{"it says what the panic was", processtest.Panics, false, patience, []string{"ended with exit code 2: panic: cannot go on"}},
		{"it names both major versions", processtest.Major2, false, patience, []string{"speaks version 2 of the plugin protocol, this broker speaks version 1"}},
		{"it accepts no port", processtest.TCP, false, patience, []string{`listens at tcp "127.0.0.1:1"`, "PLUGIN_UNIX_SOCKET_DIR"}},
		{"it wants a certificate", processtest.NoCert, true, patience, []string{"has no certificate", "mtls to false"}},
		{"it waits no longer for the connection", processtest.Mute, false, time.Second, []string{"did not answer on its socket: a start may take 1s"}},
		{"it sees a program that dies after its handshake", processtest.DiesLate, false, patience, []string{"exit code 0, right after its handshake"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.mode)
			r.options.MTLS, r.options.StartTimeout = tt.mtls, tt.timeout
			begun := time.Now()
			p, err := process.Start(t.Context(), r.prog, r.options)
			if err == nil {
				p.Kill()
				t.Fatal("it started")
			}
			t.Logf("%s: %v", time.Since(begun).Round(time.Millisecond), err)
			for _, want := range append(tt.want, "plugin "+self(t)+" ") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 700 {
				t.Errorf("that is not one readable line: %q", err)
			}
			wantNoChildren(t)
		})
	}
}

func TestStartIsCancelled(t *testing.T) {
	r := newRig(t, processtest.Silent)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := process.Start(ctx, r.prog, r.options); err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("got %v", err)
	}
	wantNoChildren(t)
}

// The plugin gets the variables that are listed, and nothing else of the host:
// not its stdin, not its descriptors.
func TestInheritance(t *testing.T) {
	t.Setenv("PROCESS_TEST_SECRET", "s")
	t.Setenv("PROCESS_TEST_LISTED", "l")
	opened, err := os.Open(self(t))
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	r := newRig(t, processtest.Serve)
	r.options.Env = append(r.options.Env, "PROCESS_TEST_LISTED", "PROCESS_TEST_UNSET")
	p := r.start(t)

	got := map[string]bool{}
	for line := range strings.Lines(ask(t, p, processtest.Environment, "")) {
		name, _, _ := strings.Cut(line, "=")
		got[name] = true
	}
	want := []string{
		processtest.ModeEnv, "GORACE", "PROCESS_TEST_LISTED", "CLAUDEMESH_PLUGIN", "CLAUDEMESH_LIFELINE_FD",
		"PLUGIN_MIN_PORT", "PLUGIN_MAX_PORT", "PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_UNIX_SOCKET_DIR",
	}
	for _, name := range want {
		if !got[name] {
			t.Errorf("%s is missing", name)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("it has %v too", got)
	}

	if got := ask(t, p, processtest.ReadStdin, ""); got != "0 <nil>" {
		t.Errorf("reading stdin gave %q", got)
	}
	descriptors := ask(t, p, processtest.Descriptors, "")
	if n := strings.Count(descriptors, self(t)); n != 1 { // the one that it was executed by
		t.Errorf("it has the program open %d times:\n%s", n, descriptors)
	}
	if !strings.HasPrefix(descriptors, "0 /dev/null\n") {
		t.Errorf("stdin is not the null device:\n%s", descriptors)
	}
}

func TestMessageLimits(t *testing.T) {
	r := newRig(t, processtest.Serve)
	r.options.DialOptions = []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1 << 30))}
	p := r.start(t)
	if got := ask(t, p, processtest.Size, strings.Repeat("x", 3<<20)); got != "3145728" {
		t.Errorf("3 MiB came as %s", got)
	}
	for command, options := range map[string]string{processtest.Size: strings.Repeat("x", 5<<20), processtest.Big: ""} {
		_, err := processtest.Ask(t.Context(), p.Conn(), command, options)
		if status.Code(err) != codes.ResourceExhausted {
			t.Errorf("%s of 5 MiB: got %v", command, err)
		}
	}
	if got := ask(t, p, processtest.Ping, ""); got != "pong" {
		t.Errorf("afterwards: got %q", got)
	}
}

// A script is executed through the descriptor too.
func TestScript(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho I am a script >&2\nexit 4\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, "")
	_, err := process.Start(t.Context(), open(t, path, ""), r.options)
	if err == nil || !strings.Contains(err.Error(), `exit code 4, after "I am a script"`) {
		t.Errorf("got %v", err)
	}
}

func TestNotAProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(path, []byte("no program\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, "")
	if _, err := process.Start(t.Context(), open(t, path, ""), r.options); err == nil || !strings.Contains(err.Error(), "cannot be executed") {
		t.Errorf("got %v", err)
	}
}

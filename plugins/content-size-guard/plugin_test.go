package contentsizeguard_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// dialed is the broker's side for go-plugin.
type dialed struct{ plugin.NetRPCUnsupportedPlugin }

func (dialed) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return errors.New("this is the broker's side")
}

func (dialed) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return pluginpb.NewPluginClient(conn), nil
}

// life is one process of the plugin.
type life struct {
	pluginpb.PluginClient
	host plugin.ClientProtocol
	cmd  *exec.Cmd
	kill func()
}

// start starts the program as the broker does: with an environment that has
// PATH alone, a lifeline as descriptor 3 and the program itself as 4. The
// caller kills it and keeps lifeline open. More files are 5 and so on. By
// descriptor means what the broker does on Linux: the path may be gone by then,
// and is.
func start(path string, byDescriptor bool, lifeline *os.File, more ...*os.File) (*life, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() // the child has its own
	cmd := &exec.Cmd{
		Path:       path,
		Args:       []string{path},
		Env:        []string{"PATH=" + os.Getenv("PATH"), pluginpb.LifelineEnv + "=3", plugin.EnvUnixSocketDir + "=" + os.Getenv(socketEnv)},
		ExtraFiles: append([]*os.File{lifeline, file}, more...),
	}
	if byDescriptor {
		cmd.Path = "/proc/self/fd/4"
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	c := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion: pluginpb.Major, MagicCookieKey: pluginpb.CookieKey, MagicCookieValue: pluginpb.CookieValue,
		},
		Plugins:          plugin.PluginSet{pluginpb.PluginName: dialed{}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Cmd:              cmd,
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     20 * time.Second,
		Logger:           hclog.NewNullLogger(),
		Stderr:           os.Stderr,
		GRPCDialOptions:  []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(pluginpb.MaxMessage))},
	})
	host, err := c.Client()
	if err != nil {
		c.Kill()
		return nil, err
	}
	raw, err := host.Dispense(pluginpb.PluginName)
	if err != nil {
		c.Kill()
		return nil, err
	}
	return &life{PluginClient: raw.(pluginpb.PluginClient), host: host, cmd: cmd, kill: c.Kill}, nil
}

func started(t *testing.T, byDescriptor bool) *life {
	t.Helper()
	path := program(t)
	if byDescriptor {
		path = copyOf(t, path)
	}
	t.Setenv(socketEnv, folder)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	defer r.Close()
	begin := time.Now()
	l, err := start(path, byDescriptor, r)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("started in %v", time.Since(begin).Round(time.Millisecond))
	t.Cleanup(l.kill)
	return l
}

func copyOf(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	to := path + "-copy"
	if err := os.WriteFile(to, raw, 0o755); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestHello(t *testing.T) {
	l := started(t, false)
	got, err := l.Hello(t.Context(), &pluginpb.HelloRequest{
		Features: []string{"stream/1", "batch/1", "observe/1", "log/1"}, MaxMessageBytes: pluginpb.MaxMessage, BrokerVersion: "1.0.0",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &pluginpb.HelloResponse{
		Features: []string{"batch/1"}, Name: "content-size-guard", Version: "1.0.0", Sdk: "typescript 0.1", Language: "typescript",
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("Hello (-want +got):\n%s", diff)
	}
	if err := l.host.Ping(); err != nil {
		t.Errorf("health: %v", err)
	}
}

func TestDescribeAndValidate(t *testing.T) {
	l := started(t, false)
	about, err := l.Describe(t.Context(), &pluginpb.DescribeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(about.Stages) != 1 {
		t.Fatalf("%d stages are described, want 1", len(about.Stages))
	}
	stage := about.Stages[0]
	schema := struct {
		Properties           map[string]any `json:"properties"`
		AdditionalProperties *bool          `json:"additionalProperties"`
	}{}
	if err := json.Unmarshal(stage.OptionsSchema, &schema); err != nil {
		t.Errorf("schema: %v", err)
	}
	if len(schema.Properties) != 8 || schema.AdditionalProperties == nil || *schema.AdditionalProperties {
		t.Errorf("schema %s: want 8 properties and no others", stage.OptionsSchema)
	}
	example := string(stage.OptionsExample)
	stage.OptionsSchema, stage.OptionsExample = nil, nil
	want := &pluginpb.Stage{
		Name: "content-size-guard", Summary: "refuses messages over a size by priority and target",
		Judges: true, Idempotent: true, Match: &pluginpb.Match{Kinds: []string{"send"}},
	}
	if diff := cmp.Diff(want, stage, protocmp.Transform()); diff != "" {
		t.Errorf("Describe (-want +got):\n%s", diff)
	}

	tests := []struct {
		name, options string
		want          []string // path: beginning of the message
	}{
		{"it accepts its own example", example, nil},
		{"it refuses unknown keys", `{"max_bytes": 1, "max_kilobytes": 1}`, []string{"max_kilobytes: unknown option"}},
		{"it refuses what is no size", `{"max_bytes_now": "1k"}`, []string{`max_bytes_now: "1k" is no limit`}},
		{"it wants a limit", `{}`, []string{": no limit is set"}},
		{"it wants an object", `[1]`, []string{": the options have to be an object"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := l.Validate(t.Context(), &pluginpb.ValidateRequest{Stage: "content-size-guard", Options: []byte(tt.options)})
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Diagnostics) != len(tt.want) {
				t.Fatalf("diagnostics %v, want %q", got.Diagnostics, tt.want)
			}
			for i, d := range got.Diagnostics {
				if line := d.Path + ": " + d.Message; !strings.HasPrefix(line, tt.want[i]) {
					t.Errorf("diagnostic %q, want %q", line, tt.want[i])
				}
			}
		})
	}
}

// One instance from its making to its end, in a program that is started by its
// path and by its descriptor.
func TestLife(t *testing.T) {
	for name, byDescriptor := range map[string]bool{"by path": false, "by descriptor": true} {
		t.Run(name, func(t *testing.T) {
			if _, err := os.Stat("/proc/self/fd"); byDescriptor && err != nil {
				t.Skip("no /proc/self/fd here")
			}
			testLife(t, started(t, byDescriptor))
		})
	}
}

func testLife(t *testing.T, l *life) {
	t.Helper()
	ctx := t.Context()
	configure := func(instance, options string) *pluginpb.ConfigureResponse {
		t.Helper()
		got, err := l.Configure(ctx, &pluginpb.ConfigureRequest{
			Instance: instance, Stage: "content-size-guard", Link: "guard", Options: []byte(options), Generation: 1, InFlight: 64,
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := configure("1", `{"max_bytes": 0}`); len(got.Diagnostics) != 1 || got.Diagnostics[0].Path != "max_bytes" {
		t.Errorf("Configure with a mistake: %v", got)
	}
	got := configure("2", `{"max_bytes": 1000, "max_bytes_now": 100}`)
	want := &pluginpb.ConfigureResponse{HasMatch: true, Match: &pluginpb.Match{Kinds: []string{"send"}, MinSize: 101}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("Configure (-want +got):\n%s", diff)
	}

	batch := &pluginpb.Batch{Seq: 1, Instance: "2", DeadlineNanos: int64(5 * time.Second), Envelopes: []*pluginpb.Envelope{
		{Kind: "send", Priority: 1, Size: 1000, Target: 1, Arrived: time.Now().UnixNano(), Conn: 7, Mesh: "m"},
		{Kind: "send", Priority: 0, Size: 101, Target: 4},
		{Kind: "send", Priority: 2, Size: 1001, Target: 3},
	}}
	verdicts, err := l.ProcessBatch(ctx, batch)
	if err != nil {
		t.Fatal(err)
	}
	wantVerdicts := &pluginpb.Verdicts{Seq: 1, Count: 3, DefaultVerdict: 1, Exceptions: []*pluginpb.Verdict{
		{
			Index: 1, Verdict: 2, Reason: "too_large_here",
			Text: "the message has 101 bytes, and messages of priority now are refused over 100 bytes here (max_bytes_now); shorten it, split it, or send it with priority next",
		},
		{
			Index: 2, Verdict: 2, Reason: "too_large_here",
			Text: "the message has 1001 bytes, and messages are refused over 1000 bytes here (max_bytes); shorten it or split it",
		},
	}}
	if diff := cmp.Diff(wantVerdicts, verdicts, protocmp.Transform()); diff != "" {
		t.Errorf("ProcessBatch (-want +got):\n%s", diff)
	}

	wantCode := func(what string, err error, want codes.Code) {
		t.Helper()
		if got := status.Code(err); got != want {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	_, err = l.ProcessBatch(ctx, &pluginpb.Batch{Seq: 2, Instance: "1"})
	wantCode("ProcessBatch of an instance that was not made", err, codes.NotFound)
	_, err = l.ObserveBatch(ctx, &pluginpb.Outcomes{Seq: 1, Instance: "2"})
	wantCode("ObserveBatch", err, codes.Unimplemented)
	stream, err := l.Process(ctx)
	if err == nil {
		_, err = stream.Recv()
	}
	wantCode("Process", err, codes.Unimplemented)
	_, err = l.Validate(ctx, &pluginpb.ValidateRequest{Stage: "content-size-guard", Options: make([]byte, pluginpb.MaxMessage)})
	wantCode("a message over the limit", err, codes.ResourceExhausted)

	drained, err := l.Drain(ctx, &pluginpb.DrainRequest{Instance: "2", DeadlineNanos: int64(time.Second)})
	if err != nil || drained.Unfinished != 0 {
		t.Errorf("Drain: %v, %v", drained, err)
	}
	_, err = l.ProcessBatch(ctx, &pluginpb.Batch{Seq: 3, Instance: "2"})
	wantCode("ProcessBatch after Drain", err, codes.NotFound)

	begin := time.Now()
	l.kill()
	took := time.Since(begin)
	t.Logf("ended in %v", took.Round(time.Millisecond))
	if took > 2*time.Second || l.cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("it ended after %v with %v; want exit code 0 within 2 s", took, l.cmd.ProcessState)
	}
	left, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		if entry.Type() == os.ModeSocket {
			t.Errorf("the socket %s is left", entry.Name())
		}
	}
}

// For a process that is the host, and is killed.
const (
	hostEnv   = "CONTENT_SIZE_GUARD_HOST" // the program to start
	socketEnv = "CONTENT_SIZE_GUARD_SOCKETS"
)

// host starts the plugin and waits to be killed. Descriptor 3 is handed on to
// the plugin, so that somebody else sees both end.
func host() {
	r, w, err := os.Pipe()
	if err == nil {
		_, err = start(os.Getenv(hostEnv), false, r, os.NewFile(3, "alive"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = r.Close()
	fmt.Println("started")
	_, _ = io.Copy(io.Discard, os.Stdin) // nothing comes
	_ = w.Close()
}

// The plugin does not outlive a host that had no time to end it.
func TestHostKilled(t *testing.T) {
	path := program(t)
	alive, held, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), hostEnv+"="+path, socketEnv+"="+folder)
	cmd.ExtraFiles = []*os.File{held}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = held.Close()
	line := make([]byte, len("started"))
	if _, err := io.ReadFull(stdout, line); err != nil {
		t.Fatalf("the host did not start: %v", err)
	}

	begin := time.Now()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := alive.SetReadDeadline(begin.Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err = alive.Read(line) // at its end when nobody holds the other one
	took := time.Since(begin)
	_ = cmd.Wait()
	t.Logf("gone %v after the host", took.Round(time.Millisecond))
	if !errors.Is(err, io.EOF) || took > time.Second {
		t.Errorf("%v after the host was killed: %v; want the plugin gone within 1 s", took, err)
	}
}

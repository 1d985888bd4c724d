//go:build unix

package processtest

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// Commands, given as the stage of a Validate. The answer is the message of the
// only diagnostic.
const (
	Ping        = "ping"         // answer "pong"
	Environment = "environment"  // answer the variables, one a line
	ReadStdin   = "read-stdin"   // answer how much stdin had, or the error
	Big         = "big"          // answer 5 MiB
	Size        = "size"         // answer the length of the options
	Exit        = "exit"         // exit with 3
	Panic       = "panic"        // panic
	FloodOut    = "flood-out"    // write 8 MiB of long lines to the real stdout
	FloodErr    = "flood-err"    // write 10,000 lines to stderr
	PrintErr    = "print-err"    // write the options to stderr
	PrintOut    = "print-out"    // print the options the way that go-plugin redirects
	Spawn       = "spawn"        // start a child that holds all descriptors; answer its number
	Descriptors = "descriptors"  // answer what the descriptors are
	CommandLine = "command-line" // answer the name it was started by and the arguments
	DrainedMark = "drained here" // is written to stderr by Drain
)

// Ask sends a command and returns the answer.
func Ask(ctx context.Context, conn grpc.ClientConnInterface, command, options string) (string, error) {
	r, err := pluginpb.NewPluginClient(conn).Validate(ctx, &pluginpb.ValidateRequest{Stage: command, Options: []byte(options)})
	if err != nil {
		return "", err
	}
	return r.Diagnostics[0].Message, nil
}

// stage serves the commands.
type stage struct {
	plugin.NetRPCUnsupportedPlugin
	pluginpb.UnimplementedPluginServer
}

func (s *stage) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	pluginpb.RegisterPluginServer(server, s)
	return nil
}

func (s *stage) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return s, nil
}

func (s *stage) Drain(context.Context, *pluginpb.DrainRequest) (*pluginpb.DrainResponse, error) {
	realStderr(DrainedMark)
	return &pluginpb.DrainResponse{}, nil
}

func (s *stage) Validate(_ context.Context, r *pluginpb.ValidateRequest) (*pluginpb.ValidateResponse, error) {
	return &pluginpb.ValidateResponse{Diagnostics: []*pluginpb.Diagnostic{{Message: answer(r.Stage, string(r.Options))}}}, nil
}

func answer(command, options string) string {
	switch command {
	case Environment:
		return strings.Join(os.Environ(), "\n")
	case ReadStdin:
		got, err := io.ReadAll(os.Stdin)
		return fmt.Sprintf("%d %v", len(got), err)
	case Big:
		return strings.Repeat("x", 5<<20)
	case Size:
		return fmt.Sprint(len(options))
	case Exit:
		os.Exit(3)
	case Panic:
		go panic("told to")
		select {}
	case FloodOut:
		for range 64 {
			_, _ = syscall.Write(1, []byte(strings.Repeat("o", 128<<10)))
		}
	case FloodErr:
		for i := range 10_000 {
			realStderr(fmt.Sprintf("line %d", i))
		}
	case PrintErr:
		realStderr(options)
	case PrintOut:
		fmt.Println(options)
	case Spawn:
		return spawn()
	case Descriptors:
		return descriptors()
	case CommandLine:
		return strings.Join(os.Args, "\n")
	}
	return "pong"
}

// realStderr writes past go-plugin, which redirects os.Stderr.
func realStderr(line string) { _, _ = syscall.Write(2, []byte(line+"\n")) }

// spawn starts a child that never ends by itself and holds the pipes.
func spawn() string {
	c := &exec.Cmd{Path: "/bin/sleep", Args: []string{"sleep", "3600"}, Stdout: os.NewFile(1, ""), Stderr: os.NewFile(2, "")}
	if err := c.Start(); err != nil {
		return err.Error()
	}
	return fmt.Sprint(c.Process.Pid)
}

func descriptors() string {
	var lines []string
	for fd := range 64 {
		if to, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil {
			lines = append(lines, fmt.Sprintf("%d %s", fd, to))
		}
	}
	return strings.Join(lines, "\n")
}

func ignoreTerm() { signal.Ignore(syscall.SIGTERM) }

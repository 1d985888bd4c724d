package process

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
)

const (
	startTime = 10 * time.Second       // for a start, when the options name none
	termTime  = 250 * time.Millisecond // between SIGTERM and SIGKILL
	reapTime  = 2 * time.Second        // for the kernel to end a process after SIGKILL
)

// Options say how a life is started.
type Options struct {
	// RunDir is where the private directory of the life is made, which has its
	// socket. A short one below the system's temporary directory is taken when
	// it is empty or its path too long for a socket (more than 74 bytes).
	RunDir string

	// Env names variables of the host that the plugin gets. It gets no others,
	// but for those of the handshake.
	Env []string

	// Args are the program's arguments. Others on the machine can read them.
	Args []string

	// MTLS makes certificates for this life, so that nobody but the host can
	// talk to the plugin. Off is for plugins whose SDK cannot do it; the
	// directory is private either way. It costs about 40 ms at the start.
	MTLS bool

	// StartTimeout bounds a start, from the launch to the connection; 0 is 10 s.
	StartTimeout time.Duration

	// DialOptions are added to those of the connection. They cannot change the
	// limits of messages.
	DialOptions []grpc.DialOption

	// Output gets what the plugin prints, line by line: up to 200 lines in a
	// second of 8 KiB each, and then how many were left out. The stream is
	// "stdout" or "stderr". Calls come one at a time, but from any goroutine;
	// while one lasts, the plugin may wait for its next line. May be nil.
	Output func(stream, line string)
}

// Usage is what a process uses: zero once it has ended, and on systems without
// /proc.
type Usage struct {
	RSSBytes   int64   // memory in use, with what it shares
	CPUSeconds float64 // since its start
}

// Process is one life of a plugin. It ends once and is not started again.
//
// Safe for concurrent use.
type Process struct {
	// Set by Start, never changed.
	client   *plugin.Client
	launcher *launcher
	child    *child
	conns    *connections
	conn     *grpc.ClientConn
	dir      *socketDir
	cleaned  chan struct{} // closed when nothing of the life is left
}

// Start launches prog, shakes hands and connects. It returns when the plugin
// can be called; no call has been made. After an error nothing of the life is
// left, or soon nothing: the error is one line that says what the plugin did and
// what to do, and has the [Exit] in it when the process had ended by itself.
//
// The ctx bounds the start only.
func Start(ctx context.Context, prog *Program, o Options) (*Process, error) {
	if o.StartTimeout <= 0 {
		o.StartTimeout = startTime
	}
	late := fmt.Errorf("a start may take %s", o.StartTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, o.StartTimeout, late)
	defer cancel()
	p, err := start(ctx, prog, o)
	if err != nil {
		return nil, fmt.Errorf("plugin %s %w", prog.path, err)
	}
	return p, nil
}

func start(ctx context.Context, prog *Program, o Options) (*Process, error) {
	dir, err := makeDir(ctx, o.RunDir)
	if err != nil {
		return nil, fmt.Errorf("has no socket: %w", err)
	}
	out := &output{forward: o.Output}
	l := &launcher{prog: prog, options: o, dir: dir.path, out: out, checked: make(chan verified, 1), ctx: ctx}
	go func() { l.checked <- prog.verify() }() // while go-plugin makes its keys
	p := &Process{launcher: l, conns: &connections{}, dir: dir, cleaned: make(chan struct{})}
	p.client = plugin.NewClient(p.config(o))
	_, err = p.client.Start()
	if l.child == nil { // it was never greeted, so go-plugin has nothing running
		out.close()
		dir.remove()
		return nil, err
	}
	p.child = l.child
	go p.cleanUp()
	if err == nil {
		err = p.connect(ctx)
	}
	if err != nil {
		p.Kill()
		p.child.ended(reapTime)
		return nil, err
	}
	return p, nil
}

// config is go-plugin's. It gets a plugin set without plugins: the connection
// is all that is wanted of it.
func (p *Process) config(o Options) *plugin.ClientConfig {
	return &plugin.ClientConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  pluginpb.Major,
			MagicCookieKey:   pluginpb.CookieKey,
			MagicCookieValue: pluginpb.CookieValue,
		},
		Plugins:          plugin.PluginSet{},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, _ string) (runner.Runner, error) {
			p.launcher.env = cmd.Env
			return p.launcher, nil
		},
		SkipHostEnv:      true,
		AutoMTLS:         o.MTLS,
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: p.dir.path},
		StartTimeout:     o.StartTimeout,
		GRPCDialOptions:  p.conns.dialOptions(o.DialOptions),
		Logger:           hclog.NewNullLogger(), // what it would say, our errors say
		SyncStdout:       p.launcher.out.stream(stdoutName),
		SyncStderr:       p.launcher.out.stream(stderrName),
	}
}

// connect waits until the connection stands. go-plugin's part of it has no
// deadline; it ends at the latest with the child, which the caller kills after
// an error.
func (p *Process) connect(ctx context.Context) error {
	type result struct {
		client plugin.ClientProtocol
		err    error
	}
	made := make(chan result, 1)
	go func() {
		c, err := p.client.Client()
		made <- result{c, err}
	}()
	select {
	case r := <-made:
		c, ok := r.client.(*plugin.GRPCClient)
		if r.err != nil || !ok {
			return p.lost(fmt.Errorf("cannot be connected to: %w", r.err))
		}
		p.conn = c.Conn
	case <-ctx.Done():
		return fmt.Errorf("did not answer on its socket: %w", context.Cause(ctx))
	}
	for state := p.conn.GetState(); state != connectivity.Ready; state = p.conn.GetState() {
		if state == connectivity.TransientFailure || state == connectivity.Shutdown {
			return p.lost(errors.New("refuses the connection on its socket"))
		}
		if !p.conn.WaitForStateChange(ctx, state) {
			return fmt.Errorf("did not answer on its socket: %w", context.Cause(ctx))
		}
	}
	return nil
}

// lost prefers the end of the process, if that was it, to what the connection
// made of it.
func (p *Process) lost(err error) error {
	if p.child.ended(drainTime) {
		return fmt.Errorf("%w, right after its handshake", p.child.exit)
	}
	return err
}

// Conn returns the connection to the plugin. It fails with the life, and it is
// not the caller's to close.
func (p *Process) Conn() grpc.ClientConnInterface { return p.conn }

// PID returns the number of the process, which may be somebody else's once
// Done is closed.
func (p *Process) PID() int { return p.child.pid }

// Done is closed when the process has ended, for whatever reason, and was
// reaped, with its process group.
func (p *Process) Done() <-chan struct{} { return p.child.done }

// Exit returns how the process ended; it waits until Done is closed.
func (p *Process) Exit() Exit {
	<-p.child.done
	return p.child.exit
}

// Usage returns what the process uses now.
func (p *Process) Usage() Usage { return p.child.usage() }

// Kill ends the process group at once. It does not wait; Done tells.
func (p *Process) Kill() { p.child.signal(syscall.SIGKILL) }

// Stop asks the plugin to end and waits for it as long as ctx allows. Then it
// sends SIGTERM to the group, and 250 ms later SIGKILL, which ends a stopped
// process too. It returns when nothing of the life is left, an error when it
// had to use a signal, and at most 5 s after ctx whatever happens.
//
// The caller has drained the plugin before: the end is a hard one for calls
// that are in flight.
func (p *Process) Stop(ctx context.Context) error {
	p.launcher.stopping.Store(true)
	go p.client.Kill() // its call has no deadline; it returns when the child is gone
	gone, err := p.await(ctx)
	if !gone {
		return err
	}
	t := time.NewTimer(reapTime)
	defer t.Stop()
	select {
	case <-p.cleaned:
	case <-t.C:
	}
	return err
}

// await waits for the end, and sees to it when ctx is over.
func (p *Process) await(ctx context.Context) (gone bool, err error) {
	select {
	case <-p.child.done:
		return true, nil
	case <-ctx.Done():
	}
	if p.child.signal(syscall.SIGTERM); p.child.ended(termTime) {
		return true, fmt.Errorf("plugin %s did not end in time, and was sent SIGTERM", p.launcher.prog.path)
	}
	if p.child.signal(syscall.SIGKILL); p.child.ended(reapTime) {
		return true, fmt.Errorf("plugin %s did not end in time, and was killed", p.launcher.prog.path)
	}
	return false, fmt.Errorf("plugin %s: the system does not end process %d", p.launcher.prog.path, p.child.pid)
}

// cleanUp waits for the end and takes away what is left.
func (p *Process) cleanUp() {
	<-p.child.done
	p.client.Kill() // closes its connection; there is nothing to kill
	p.conns.close()
	p.launcher.out.close()
	p.dir.remove()
	close(p.cleaned)
}

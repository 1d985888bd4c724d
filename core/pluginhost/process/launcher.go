package process

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"syscall"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
)

const socketDirEnv = plugin.EnvUnixSocketDir

// launcher is go-plugin's runner. It hands go-plugin a first line that was
// judged already and then silence until the child is reaped, so that go-plugin
// neither reads from the child nor waits for it.
type launcher struct {
	prog    *Program
	options Options
	dir     string
	out     *output
	checked chan verified // gets the check of the program, which runs meanwhile
	ctx     context.Context

	env      []string // go-plugin's; set when it makes the runner
	child    *child   // set by Start
	line     string
	stopping atomic.Bool // Stop decides when to kill
}

var _ runner.Runner = (*launcher)(nil)

// Start starts the child and waits for its first line. It ignores go-plugin's
// context, which is not the caller's.
func (l *launcher) Start(context.Context) error {
	check := <-l.checked
	if check.err != nil {
		return check.err
	}
	if err := l.ctx.Err(); err != nil {
		return err
	}
	c, err := launch(l.prog, check.info, l.options.Args, environment(l.options.Env, l.env, l.dir), l.out)
	if err != nil {
		return err
	}
	if err := l.greet(c); err != nil {
		c.signal(syscall.SIGKILL)
		c.ended(reapTime)
		return err
	}
	l.child = c
	return nil
}

// greet waits for the handshake.
func (l *launcher) greet(c *child) error {
	var first firstLine
	select {
	case first = <-c.first:
	case <-l.ctx.Done():
		c.signal(syscall.SIGKILL)
		if !c.ended(reapTime) {
			return fmt.Errorf("sent no handshake: %w", context.Cause(l.ctx))
		}
		if first = <-c.first; first.text != "" {
			return fmt.Errorf("sent no handshake, only %s: %w", quote(first.text), context.Cause(l.ctx))
		}
		return fmt.Errorf("sent no handshake: %w", context.Cause(l.ctx))
	}
	err := first.judge(l.options.MTLS, l.dir)
	if err != nil && first.err != nil && c.ended(drainTime) {
		if first.text == "" {
			return fmt.Errorf("sent no handshake: it %w", c.exit)
		}
		return fmt.Errorf("%w; it %w", err, c.exit)
	}
	l.line = first.text
	return err
}

// Wait implements [runner.AttachedRunner].
func (l *launcher) Wait(context.Context) error {
	<-l.child.done
	if l.child.exit.Code != 0 {
		return l.child.exit
	}
	return nil
}

// Kill is called by go-plugin when its own patience of 2 s is over. During a
// Stop that is not for go-plugin to say.
func (l *launcher) Kill(context.Context) error {
	if l.stopping.Load() {
		<-l.child.done
		return nil
	}
	l.child.signal(syscall.SIGKILL)
	l.child.ended(reapTime)
	return nil
}

// Stdout has the handshake and then nothing.
func (l *launcher) Stdout() io.ReadCloser {
	return io.NopCloser(&still{first: []byte(l.line + "\n"), done: l.child.done})
}

// Stderr has nothing.
func (l *launcher) Stderr() io.ReadCloser { return io.NopCloser(&still{done: l.child.done}) }

// still is a reader that has a little, waits until done and then is at its end.
type still struct {
	first []byte
	done  <-chan struct{}
}

func (s *still) Read(p []byte) (int, error) {
	if len(s.first) == 0 {
		<-s.done
		return 0, io.EOF
	}
	n := copy(p, s.first)
	s.first = s.first[n:]
	return n, nil
}

func (l *launcher) Name() string { return l.prog.path }

// ID is empty until the child was greeted, which tells go-plugin that there is
// nothing to kill.
func (l *launcher) ID() string {
	if l.child == nil {
		return ""
	}
	return strconv.Itoa(l.child.pid)
}

// Diagnose has nothing to add to what Start says.
func (l *launcher) Diagnose(context.Context) string { return "" }

// PluginToHost implements [runner.AddrTranslator]: both see the same files.
func (l *launcher) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

// HostToPlugin implements [runner.AddrTranslator].
func (l *launcher) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

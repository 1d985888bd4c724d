package process

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

const (
	stdoutName = "stdout"
	stderrName = "stderr"
)

// Descriptors of the child, behind stdin, stdout and stderr.
const (
	lifelineFD = 3
	programFD  = 4
)

// drainTime is how long what a process left in its pipes is read. Only a child
// of it that left its group can make us wait at all.
const drainTime = 100 * time.Millisecond

// child is the operating system's side of a life. It is reaped whatever
// happens, by a goroutine of its own.
type child struct {
	// Set by launch, never changed.
	cmd      *exec.Cmd
	pid      int
	lifeline *os.File // the end that only we have; closed when the child is gone
	out      *output
	first    chan firstLine // gets one
	done     chan struct{}  // closed after exit is set

	exit Exit // to be read after done is closed

	mu   sync.Mutex
	gone bool // reaped; the number may belong to somebody else now
}

// launch starts the program, which has to be as it was before. The caller gets
// a child that is or will be reaped, or an error and nothing is left.
func launch(prog *Program, before os.FileInfo, args, env []string, out *output) (*child, error) {
	pipes, err := openPipes()
	if err != nil {
		return nil, err
	}
	c := &child{
		cmd: &exec.Cmd{
			Path:        execPath(programFD, prog.path),
			Args:        append([]string{prog.path}, args...),
			Env:         append(env, pluginpb.LifelineEnv+"=3"),
			Stdout:      pipes.out.w, // no Stdin: it is the null device
			Stderr:      pipes.err.w,
			ExtraFiles:  []*os.File{pipes.life.r, prog.file},
			SysProcAttr: ownGroup(),
		},
		lifeline: pipes.life.w,
		out:      out,
		first:    make(chan firstLine, 1),
		done:     make(chan struct{}),
	}
	if err := c.cmd.Start(); err != nil {
		pipes.close()
		return nil, startError(err)
	}
	pipes.closeChildEnds()
	c.pid = c.cmd.Process.Pid
	go c.run(pipes.out.r, pipes.err.r)
	if !prog.unchanged(before) {
		c.signal(syscall.SIGKILL)
		c.ended(reapTime)
		return nil, errors.New("was written to while it was started")
	}
	return c, nil
}

// run reads what the child prints until it has ended, ends what it left behind,
// and reaps it.
func (c *child) run(stdout, stderr *os.File) {
	var streams sync.WaitGroup
	streams.Go(func() { readStdout(stdout, c.first, c.out.stream(stdoutName)) })
	streams.Go(func() { _, _ = io.Copy(c.out.stream(stderrName), stderr) })

	awaitExit(c.pid)
	exit := c.reap()

	deadline := time.Now().Add(drainTime)
	_ = stdout.SetReadDeadline(deadline)
	_ = stderr.SetReadDeadline(deadline)
	streams.Wait()
	_ = stdout.Close()
	_ = stderr.Close()
	_ = c.lifeline.Close()
	exit.Stderr, exit.Panic = c.out.report()
	c.exit = exit
	close(c.done)
}

// reap ends the rest of the group while the zombie still holds its number, so
// that no other group can have it, and then takes the zombie away.
func (c *child) reap() Exit {
	c.mu.Lock()
	defer c.mu.Unlock()
	signalGroup(c.pid, syscall.SIGKILL)
	err := c.cmd.Wait()
	c.gone = true
	return exitOf(c.cmd.ProcessState, err)
}

// signal sends to the whole group, or to nobody once the child was reaped.
func (c *child) signal(sig syscall.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.gone {
		signalGroup(c.pid, sig)
	}
}

func (c *child) usage() Usage {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return Usage{}
	}
	return usage(c.pid)
}

// ended reports whether the child was reaped before the time was over.
func (c *child) ended(within time.Duration) bool {
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case <-c.done:
		return true
	case <-t.C:
		return false
	}
}

// pipes are the three pipes between the host and a child. All ends are closed
// on exec but for those that the child is given.
type pipes struct{ out, err, life pipe }

type pipe struct{ r, w *os.File }

func openPipes() (*pipes, error) {
	p := &pipes{}
	for _, each := range []*pipe{&p.out, &p.err, &p.life} {
		var err error
		if each.r, each.w, err = os.Pipe(); err != nil {
			p.close()
			return nil, err
		}
	}
	return p, nil
}

// close closes what is open of them; Close of a nil file does nothing.
func (p *pipes) close() {
	p.closeChildEnds()
	_ = p.out.r.Close()
	_ = p.err.r.Close()
	_ = p.life.w.Close()
}

func (p *pipes) closeChildEnds() {
	_ = p.out.w.Close()
	_ = p.err.w.Close()
	_ = p.life.r.Close()
}

// environment is what a child gets: what the operator listed, as the host has
// it, and go-plugin's own over it.
func environment(listed, own []string, dir string) []string {
	var env []string
	for _, name := range listed {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return append(append(env, own...), socketDirEnv+"="+filepath.Clean(dir))
}

package conform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// endTime is how long a program may take to end.
const endTime = 2 * time.Second

const lifelineCase = "it ends when the broker dies"

// ends stops the process as the broker does.
func (t *talk) ends() error {
	ctx, cancel := context.WithTimeout(t.ctx, endTime)
	defer cancel()
	t.ended = true
	began := time.Now()
	if err := t.probed.Process().Stop(ctx); err != nil {
		return fmt.Errorf("it was told to end and still ran after %v: end when go-plugin's Shutdown is called, with what is in hand finished", time.Since(began).Round(time.Millisecond))
	}
	return nil
}

// lifeline starts the program once more, as a broker would that is killed when
// the handshake is done.
func (t *talk) lifeline() error {
	dir, err := os.MkdirTemp("", "c") // the path of a socket has to be short
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = errors.Join(read.Close(), write.Close()) }() // the second close says so, and no more
	ctx, kill := context.WithCancel(t.ctx)
	again, err := t.startAgain(ctx, dir, read)
	if err != nil {
		kill()
		return err
	}
	defer func() { <-again.ended }()
	defer kill()
	if err := again.greets(t.s.Link.Plugin.StartTimeout); err != nil {
		return err
	}
	_ = write.Close()
	select {
	case <-again.ended:
		return nil
	case <-time.After(endTime):
		return fmt.Errorf("it lives on after the broker: read from the descriptor that %s names, and exit when it is at its end", pluginpb.LifelineEnv)
	}
}

// again is a process that nobody talks to.
type again struct {
	greeted greeting
	ended   chan struct{} // closed when it has
}

// startAgain starts the program until ctx ends.
func (t *talk) startAgain(ctx context.Context, dir string, lifeline *os.File) (*again, error) {
	a := &again{greeted: make(greeting, 1), ended: make(chan struct{})}
	cmd := t.command(ctx, dir)
	cmd.ExtraFiles = []*os.File{lifeline}
	cmd.Stdout = &until{first: a.greeted}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(a.ended)
		_ = cmd.Wait() // how it ends does not matter, only that it does
	}()
	return a, nil
}

// greets waits for the handshake.
func (a *again) greets(within time.Duration) error {
	select {
	case line := <-a.greeted:
		if !strings.HasPrefix(line, "1|") {
			return fmt.Errorf("it was started once more, and wrote %.80q in the place of the handshake", line)
		}
		return nil
	case <-a.ended:
		return errors.New("it was started once more without certificates, and ended without a handshake")
	case <-time.After(within):
		return errors.New("it was started once more, and sent no handshake")
	}
}

// greeting gets the first line that a program prints.
type greeting chan string

// until is standard output of which only the first line matters.
type until struct {
	first greeting
	line  []byte
	done  bool
}

// Write implements [io.Writer].
func (u *until) Write(b []byte) (int, error) {
	if u.done {
		return len(b), nil
	}
	u.line = append(u.line, b...)
	if i := bytes.IndexByte(u.line, '\n'); i >= 0 || len(u.line) > maxGreeting {
		u.done = true
		u.first <- string(u.line)
	}
	return len(b), nil
}

const maxGreeting = 8 << 10 // bytes

// command is the program with the environment that the broker gives it, but for
// certificates.
func (t *talk) command(ctx context.Context, dir string) *exec.Cmd {
	p := t.s.Link.Plugin
	cmd := exec.CommandContext(ctx, p.Path, p.Args...)
	cmd.Env = []string{
		pluginpb.CookieKey + "=" + pluginpb.CookieValue, pluginpb.LifelineEnv + "=3",
		"PLUGIN_UNIX_SOCKET_DIR=" + dir, fmt.Sprintf("PLUGIN_PROTOCOL_VERSIONS=%d", pluginpb.Major),
	}
	for _, name := range p.Env {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	cmd.WaitDelay = time.Second // for what holds its output open
	return cmd
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	readyTimeout = 60 * time.Second
	stopTimeout  = 30 * time.Second
)

// server is a server in a process of its own.
type server struct {
	cmd *exec.Cmd
	url string
	end chan error // gets the error of Wait
}

// startServer starts a server and returns when it is ready. What it prints
// apart from that is dropped; its errors go to errs.
func startServer(ctx context.Context, argv []string, errs io.Writer) (*server, error) {
	s := &server{cmd: exec.CommandContext(ctx, argv[0], argv[1:]...), end: make(chan error, 1)}
	s.cmd.Stderr = errs
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	s.cmd.WaitDelay = stopTimeout
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	ready := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if url, ok := strings.CutPrefix(lines.Text(), readyPrefix); ok {
				ready <- url
				break
			}
		}
		_, _ = io.Copy(io.Discard, out) // the error comes from Wait
		s.end <- s.cmd.Wait()
	}()
	select {
	case s.url = <-ready:
		return s, nil
	case err := <-s.end:
		return nil, fmt.Errorf("the server ended before it was ready: %w", errors.Join(err, errNoServer))
	case <-time.After(readyTimeout):
		return nil, errors.Join(fmt.Errorf("the server was not ready after %v", readyTimeout), s.stop())
	}
}

var errNoServer = errors.New("see its own words above")

// pid returns the number of the server's process. A pinned server has replaced
// the process that pinned it, so it is the one that was started.
func (s *server) pid() int { return s.cmd.Process.Pid }

// stop ends the server.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-s.end:
		return err
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("the server did not stop within %v", stopTimeout), s.cmd.Process.Kill())
	}
}

// runLoad has a generator do a task.
func runLoad(ctx context.Context, argv []string, t *task, errs io.Writer) ([]*result, error) {
	in, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("generator: %w", err)
	}
	var results []*result
	return results, json.Unmarshal(out.Bytes(), &results)
}

// oneAtATime lets several processes write to one place.
type oneAtATime struct {
	mu sync.Mutex
	to io.Writer
}

func (o *oneAtATime) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.to.Write(b)
}

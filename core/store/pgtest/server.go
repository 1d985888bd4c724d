package pgtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// startTimeout holds for recovery after a crash on a busy machine too.
const startTimeout = time.Minute

// What a server does at a commit.
var (
	forgetful = []string{"fsync=off", "full_page_writes=off"} // quick; a crash of the machine may lose all
	durable   = []string{"fsync=on", "full_page_writes=on"}   // as in production
)

// settings are those of every server.
var settings = []string{
	"synchronous_commit=on",
	"max_connections=300",
	"shared_buffers=64MB",
	"listen_addresses=127.0.0.1",
	"unix_socket_directories=", // a path in a temporary directory may be too long for one
	"timezone=UTC",
	"log_timezone=UTC",
}

// server is a throwaway cluster. Not for concurrent use, url excepted.
type server struct {
	// Static after newServer.
	bin     string
	dir     string // has data and log; the watchdog removes it
	port    int
	commits []string
	owner   *owner // who runs it; nil is ourselves
	watch   *watchdog

	postmaster *exec.Cmd // nil while it is stopped
}

// newServer makes a cluster and starts it.
func newServer(bin string, commits []string) (*server, error) {
	who, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := makeDir(who)
	if err != nil {
		return nil, err
	}
	watch, err := newWatchdog(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s := &server{bin: bin, dir: dir, commits: commits, owner: who, watch: watch}
	if err := s.begin(); err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

// begin makes the data directory and starts the server on a port that is free.
func (s *server) begin() error {
	err := s.runInitdb()
	for range 5 { // somebody else may take the port before the server does
		if err != nil {
			return err
		}
		if s.port, err = freePort(); err != nil {
			return err
		}
		err = s.start()
		if err == nil || !strings.Contains(err.Error(), "could not bind") {
			return err
		}
		err = nil
	}
	return errors.New("start PostgreSQL: each port that was free was taken a moment later")
}

func (s *server) runInitdb() error {
	cmd, err := s.spawn("initdb", "-D", s.data(), "-U", "postgres", "-A", "trust",
		"--no-sync", "--locale=C", "--encoding=UTF8")
	if err == nil {
		err = cmd.Wait()
		s.watch.guard(0)
	}
	if err != nil {
		return s.failure("initdb", err)
	}
	return nil
}

// start starts the server and returns when it accepts connections.
func (s *server) start() error {
	args := []string{"-D", s.data(), "-p", strconv.Itoa(s.port)}
	for _, setting := range slices.Concat(settings, s.commits) {
		args = append(args, "-c", setting)
	}
	cmd, err := s.spawn("postgres", args...)
	if err != nil {
		return s.failure("start PostgreSQL", err)
	}
	for deadline := time.Now().Add(startTimeout); !s.ready(cmd.Process.Pid); time.Sleep(5 * time.Millisecond) {
		if ended(cmd.Process) {
			s.watch.guard(0)
			return s.failure("start PostgreSQL", errors.New("it ended at once"))
		}
		if time.Now().After(deadline) {
			s.postmaster = cmd
			return errors.Join(s.failure("start PostgreSQL", errors.New("it is not ready after "+startTimeout.String())), s.stop())
		}
	}
	s.postmaster = cmd
	return nil
}

// ready reports what the postmaster says of itself in the eighth line of its
// file; the first has its pid, by which a file of its predecessor is told.
func (s *server) ready(pid int) bool {
	text, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return false
	}
	lines := strings.Split(string(text), "\n")
	return len(lines) > 7 && lines[0] == strconv.Itoa(pid) && strings.TrimSpace(lines[7]) == "ready"
}

// stop ends the server as pg_ctl's immediate mode does: no session finishes, no
// checkpoint is taken. It returns when the last of its processes is gone.
func (s *server) stop() error {
	if s.postmaster == nil {
		return nil
	}
	cmd := s.postmaster
	s.postmaster = nil
	err := quit(cmd.Process)
	if err == nil {
		err = cmd.Wait()
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = nil // it says that it was told to quit
	}
	s.watch.guard(0)
	if err != nil {
		return fmt.Errorf("stop PostgreSQL: %w", err)
	}
	return nil
}

// remove stops the server and removes all of it.
func (s *server) remove() error {
	return errors.Join(s.stop(), s.watch.end())
}

// spawn starts one of the server's programs, as its owner, under the watchdog's
// eyes.
func (s *server) spawn(program string, args ...string) (*exec.Cmd, error) {
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the child has its own
	// It ends by stop or by the watchdog, and by no context.
	cmd := exec.CommandContext(context.Background(), filepath.Join(s.bin, program), args...)
	cmd.Dir = s.dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PG") }), "LC_ALL=C")
	apart(cmd, s.owner)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s.watch.guard(cmd.Process.Pid)
	return cmd, nil
}

// failure is err with the end of the server's log.
func (s *server) failure(what string, err error) error {
	return fmt.Errorf("%s: %w: %s", what, err, s.said(8))
}

// said is the end of what the server wrote to its log.
func (s *server) said(lines int) string {
	log, err := os.ReadFile(s.log())
	if err != nil {
		return err.Error()
	}
	return tail(log, lines)
}

func (s *server) data() string { return filepath.Join(s.dir, "data") }
func (s *server) log() string  { return filepath.Join(s.dir, "log") }

func (s *server) url(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, database)
}

// freePort finds a port below those that systems hand out for outgoing
// connections: no client takes it while a server is stopped, and no client that
// tries again meanwhile is connected with itself.
func freePort() (int, error) {
	const first, count = 20000, 12000
	var err error
	for range 100 {
		port := first + rand.IntN(count)
		var l net.Listener
		l, err = new(net.ListenConfig).Listen(context.Background(), "tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("find a free port: %w", err)
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/claudemesh/broker/core/admin"
)

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" { // see child
		main()
	}
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for what has to happen.
const patience = 20 * time.Second

// terminal is where one test types its commands: a home directory and a data
// directory of its own.
type terminal struct {
	t       *testing.T
	home    string
	data    string
	environ []string // beside HOME
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	dir := t.TempDir()
	return &terminal{t: t, home: dir, data: dir + "/data"}
}

// result is what a command left.
type result struct {
	code     int
	out, err string
}

func (x *terminal) env() []string {
	return append([]string{"HOME=" + x.home, "USER=tester"}, x.environ...)
}

// try runs a command to its end.
func (x *terminal) try(args ...string) result {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.t.Context(), patience)
	defer cancel()
	var out, errs bytes.Buffer
	code := run(ctx, args, streams{strings.NewReader(""), &out, &errs}, x.env())
	return result{code, out.String(), errs.String()}
}

// ok runs a command that has to succeed, and returns what it printed.
func (x *terminal) ok(args ...string) string {
	x.t.Helper()
	r := x.try(args...)
	if r.code != exitOK {
		x.t.Fatalf("broker %s: exit %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return r.out
}

// fails runs a command that has to exit with a code, and with these words on
// standard error, in one line.
func (x *terminal) fails(code int, words string, args ...string) {
	x.t.Helper()
	r := x.try(args...)
	if r.code != code || !strings.Contains(r.err, words) {
		x.t.Errorf("broker %s: exit %d, want %d with %q; it says\n%s%s", strings.Join(args, " "), r.code, code, words, r.out, r.err)
	}
	if strings.Count(r.err, "\n") != 1 || !strings.HasPrefix(r.err, "broker: ") {
		x.t.Errorf("broker %s: want one line of error, got\n%s", strings.Join(args, " "), r.err)
	}
}

// on adds the data directory to a command.
func (x *terminal) on(args ...string) []string { return append(args, "--data-dir", x.data) }

// newMesh makes a mesh with members.
func (x *terminal) newMesh(name string, members string) *admin.NewMesh {
	x.t.Helper()
	return parse[admin.NewMesh](x.t, x.ok(x.on("mesh", "create", name, "--members", members, "--json")...))
}

// parse reads a command's JSON.
func parse[T any](t *testing.T, text string) *T {
	t.Helper()
	v := new(T)
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return v
}

// running is a command that goes on.
type running struct {
	t        *testing.T
	args     []string
	out, err *screen
	stop     context.CancelFunc
	ended    chan int
}

// start runs a command until the test ends, or until it ends.
func (x *terminal) start(args ...string) *running {
	x.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{t: x.t, args: args, out: newScreen(), err: newScreen(), stop: cancel, ended: make(chan int, 1)}
	go func() { r.ended <- run(ctx, args, streams{strings.NewReader(""), r.out, r.err}, x.env()) }()
	x.t.Cleanup(func() {
		cancel()
		r.wait()
	})
	return r
}

// wait returns the exit code when the command has ended.
func (r *running) wait() int {
	r.t.Helper()
	select {
	case code := <-r.ended:
		r.ended <- code
		return code
	case <-time.After(patience):
		r.t.Fatalf("broker %v does not end\n%s%s", r.args, r.out, r.err)
		return -1
	}
}

// end stops the command and wants it to succeed.
func (r *running) end() {
	r.t.Helper()
	r.stop()
	if code := r.wait(); code != exitOK {
		r.t.Errorf("broker %v: exit %d\n%s%s", r.args, code, r.out, r.err)
	}
}

// serve starts a broker on the data directory and returns it with its URL, when
// it is ready.
func (x *terminal) serve(args ...string) (*running, string) {
	x.t.Helper()
	r := x.start(x.on(append([]string{"serve", "--listen", "127.0.0.1:0", "--durability", "process"}, args...)...)...)
	line := r.out.wait(r, "ready ws://")
	url, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "ready ")
	if !ok || strings.Contains(url, "\n") {
		x.t.Fatalf("standard output is not one ready line: %q", line)
	}
	return r, url
}

// screen collects what a running command prints.
type screen struct {
	mu    sync.Mutex
	text  bytes.Buffer
	moved chan struct{} // closed and replaced at each write
}

func newScreen() *screen { return &screen{moved: make(chan struct{})} }

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.moved)
	s.moved = make(chan struct{})
	return s.text.Write(b)
}

func (s *screen) look() (string, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String(), s.moved
}

func (s *screen) String() string {
	text, _ := s.look()
	return text
}

// wait returns everything on the screen when these words are there, and the
// line that they are in is whole.
func (s *screen) wait(r *running, words string) string {
	r.t.Helper()
	deadline := time.After(patience)
	for {
		text, moved := s.look()
		if at := strings.Index(text, words); at >= 0 && strings.Contains(text[at:], "\n") {
			return text
		}
		select {
		case <-moved:
		case code := <-r.ended:
			r.ended <- code
			if text, _ := s.look(); strings.Contains(text, words) {
				return text
			}
			r.t.Fatalf("broker %v ended with %d and never said %q\n%s%s", r.args, code, words, r.out, r.err)
		case <-deadline:
			r.t.Fatalf("broker %v never said %q\n%s%s", r.args, words, r.out, r.err)
		}
	}
}

// writeFile makes a config file.
func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := t.TempDir() + "/broker.yaml"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

package deploy_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/store/pgtest"
)

// patience is how long a test waits for what has to happen.
const patience = 30 * time.Second

// broker is the program, built and serving, with all on that adds metrics: a
// PostgreSQL with its pool, its lease and its bus, a plugin, a stage in shadow,
// a fallback, and traces that nobody takes.
type broker struct {
	t       *testing.T
	program string
	file    string // its config
	url     string // of HTTP
}

const everything = `
listen: 127.0.0.1:0
data_dir: %[1]s
log: {level: error}
store: {url: "%[2]s", durability: process}
telemetry: {traces: {endpoint: "http://127.0.0.1:9", ratio: 1}}
console: {listen: "127.0.0.1:0"}
pipeline:
  - stage: auth
  - stage: legacy-auth
    enabled: true
  - stage: grants
  - stage: rate-limit
    with: {send: 6000/min, burst: 1000}
    on_failure: fallback
    fallback: rate-limit
    required: false
    plugin: {path: %[3]s, args: [stage, serve, rate-limit]}
  - stage: rate-limit
    name: stricter
    shadow: true
    with: {send: 60/min, burst: 1}
  - stage: route
  - stage: audit
`

func newBroker(t *testing.T) *broker {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the broker and starts it")
	}
	dir := t.TempDir()
	b := &broker{t: t, program: filepath.Join(dir, "broker"), file: filepath.Join(dir, "broker.yaml")}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", b.program, "../cmd/broker").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	text := fmt.Sprintf(everything, filepath.Join(dir, "data"), pgtest.URL(t), b.program)
	if err := os.WriteFile(b.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b.serve()
	return b
}

func (b *broker) command(args ...string) *exec.Cmd {
	c := exec.CommandContext(b.t.Context(), b.program, append(args, "--config", b.file)...)
	c.Env = []string{"HOME=" + filepath.Dir(b.file), "USER=tester", "PATH=" + os.Getenv("PATH")}
	return c
}

// serve starts the broker, and stops it when the test ends.
func (b *broker) serve() {
	b.t.Helper()
	c := b.command("serve")
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = patience
	said := b.start(c, "ready ws://")
	address, _, _ := strings.Cut(strings.TrimPrefix(said, "ready ws://"), "/")
	b.url = "http://" + address
}

// start starts a command, and returns its first line of standard output that
// begins so.
func (b *broker) start(c *exec.Cmd, prefix string) string {
	b.t.Helper()
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		b.t.Fatal(err)
	}
	found, over := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(over)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), prefix) {
				select {
				case found <- lines.Text():
				default:
				}
			}
		}
	}()
	b.t.Cleanup(func() {
		c.Cancel() //nolint:errcheck // it may have ended
		<-over
		c.Wait() //nolint:errcheck // as it was told
	})
	select {
	case line := <-found:
		return line
	case <-over:
		b.t.Fatalf("broker %q ended: %s", c.Args[1:], errs.String())
	case <-time.After(patience):
		b.t.Fatalf("broker %q does not say %q", c.Args[1:], prefix)
	}
	return ""
}

// run runs a command to its end, and returns what it printed.
func (b *broker) run(args ...string) string {
	b.t.Helper()
	out, err := b.command(args...).CombinedOutput()
	if err != nil {
		b.t.Fatalf("broker %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// use makes what has samples only when it happened: a message to somebody who
// is away and then comes, and a reload.
func (b *broker) use() {
	b.t.Helper()
	keys := filepath.Join(filepath.Dir(b.file), "keys")
	b.run("mesh", "create", "observed", "--members", "2", "--save", keys)
	b.run("peer", "send", "--member", filepath.Join(keys, "member-1.json"), "member-2", "hello")
	b.run("peer", "listen", "--member", filepath.Join(keys, "member-2.json"), "--count", "1")
	b.run("reload")
}

// scrape asks for the metrics.
func (b *broker) scrape() string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+"/metrics", http.NoBody)
	if err != nil {
		b.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.t.Fatalf("/metrics: %d, %v\n%s", resp.StatusCode, err, text)
	}
	return string(text)
}

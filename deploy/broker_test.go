package deploy_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
files: {storage: disk}
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
	log, err := os.Create(b.file + ".log")
	if err != nil {
		b.t.Fatal(err)
	}
	defer log.Close()
	c.Stderr = log
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
		c.Cancel() // it may have ended
		<-over
		c.Wait()
	})
	select {
	case line := <-found:
		return line
	case <-over:
		b.t.Fatalf("broker %q ended: %s", c.Args[1:], read(b.t, log.Name()))
	case <-time.After(patience):
		b.t.Fatalf("broker %q does not say %q", c.Args[1:], prefix)
	}
	return ""
}

// run runs a command to its end, and returns what it printed.
func (b *broker) run(args ...string) string {
	b.t.Helper()
	var out, errs bytes.Buffer
	c := b.command(args...)
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		b.t.Fatalf("broker %q: %v\n%s%s", args, err, out.String(), errs.String())
	}
	return out.String()
}

// refused runs a command that has to fail with these words.
func (b *broker) refused(words string, args ...string) {
	b.t.Helper()
	if out, err := b.command(args...).CombinedOutput(); err == nil || !strings.Contains(string(out), words) {
		b.t.Errorf("broker %q: %v, want %q\n%s", args, err, words, out)
	}
}

// use makes what has samples only when it has happened: a message to somebody
// who is away and then comes, one that is refused, a hello and a request that
// are refused, a reload, and a plugin that hangs while it is asked.
func (b *broker) use() {
	b.t.Helper()
	keys := filepath.Join(filepath.Dir(b.file), "keys")
	ada, bo := filepath.Join(keys, "member-1.json"), filepath.Join(keys, "member-2.json")
	b.run("mesh", "create", "observed", "--members", "2", "--save", keys)
	b.run("mesh", "create", "elsewhere", "--members", "1")
	b.run("peer", "send", "--member", ada, b.key("observed", "member-2"), "hello")
	b.run("peer", "listen", "--member", bo, "--count", "1")
	b.refused("nobody else", "peer", "send", "--member", ada, b.key("elsewhere", "member-1"), "hello")
	b.get("/cli/meshes", http.StatusUnauthorized)
	b.run("reload")

	b.signal(b.plugin("rate-limit"), syscall.SIGSTOP) // until it is found to hang, and killed
	b.run("peer", "send", "--member", ada, b.key("observed", "member-2"), "hello")
	ended := regexp.MustCompile(`(?m)^broker_plugin_restarts_total{.*} [1-9]`)
	for deadline := time.Now().Add(patience); !ended.MatchString(b.scrape()); {
		if time.Now().After(deadline) {
			b.t.Fatal("a plugin that hangs is not started again")
		}
		time.Sleep(20 * time.Millisecond) // between two looks
	}

	b.run("member", "revoke", "observed", "member-1")
	b.refused("revoked", "peer", "send", "--member", ada, "*", "hello")
}

// plugin returns the process of a link's plugin.
func (b *broker) plugin(link string) (pid int) {
	b.t.Helper()
	var list []struct {
		PID int `json:"pid"`
	}
	if err := json.Unmarshal([]byte(b.run("plugin", "status", link, "--json")), &list); err != nil || len(list) != 1 || list[0].PID <= 0 {
		b.t.Fatalf("%v, %+v", err, list)
	}
	return list[0].PID
}

func (b *broker) signal(pid int, s syscall.Signal) {
	b.t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		b.t.Fatal(err)
	}
}

// key returns the key of a member, which reaches one who is away.
func (b *broker) key(mesh, name string) string {
	b.t.Helper()
	var members []struct {
		Name string `json:"displayName"`
		Key  string `json:"pubkey"`
	}
	if err := json.Unmarshal([]byte(b.run("member", "list", mesh, "--json")), &members); err != nil {
		b.t.Fatal(err)
	}
	for _, m := range members {
		if m.Name == name {
			return m.Key
		}
	}
	b.t.Fatalf("no member %s in %+v", name, members)
	return ""
}

// scrape asks for the metrics.
func (b *broker) scrape() string {
	b.t.Helper()
	return b.get("/metrics", http.StatusOK)
}

// get asks for a path, and returns what is answered with the status.
func (b *broker) get(path string, status int) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+path, http.NoBody)
	if err != nil {
		b.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		b.t.Fatalf("%s: %d, %v\n%s", path, resp.StatusCode, err, text)
	}
	return string(text)
}

package pluginhost_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/sdk"
)

// patience bounds every wait of these tests.
const patience = 30 * time.Second

// journal keeps what is logged, for tests that fail.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// newHost returns a host that is closed with the test.
func newHost(t testing.TB) *pluginhost.Host {
	t.Helper()
	h, _ := hostWithLog(t)
	return h
}

// hostWithLog is newHost for tests that look at the log.
func hostWithLog(t testing.TB) (*pluginhost.Host, *journal) {
	t.Helper()
	return hostWith(t, pluginhost.Options{})
}

// hostWith is hostWithLog for tests that want more of a host.
func hostWith(t testing.TB, o pluginhost.Options) (*pluginhost.Host, *journal) {
	t.Helper()
	log := new(journal)
	o.RunDir, o.Version, o.Log = t.TempDir(), "test", slog.New(slog.NewTextHandler(log, nil))
	h, err := pluginhost.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(log)
		}
	})
	return h, log
}

// link returns a link that runs this test program as the plugin that act names,
// with the defaults of the config but for times that suit a test.
func link(t testing.TB, act string) config.Link {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(actEnv, act)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector lets an exit wait for 1 s
	return config.Link{
		Stage: "drill", Name: "drill", Enabled: true, Required: true,
		OnFailure: config.Hold, Then: config.FailClosed, Deadline: 5 * time.Second,
		Plugin: &config.Plugin{
			Path: path, Role: config.Gate, Env: []string{actEnv, "GORACE"}, MTLS: true,
			InFlight: 1024, Overload: config.Backpressure, HangAfter: 5 * time.Second,
			StartTimeout: patience, DrainTimeout: 10 * time.Second, HoldMax: 10 * time.Second, HoldQueue: 4096,
			Restart: config.Restart{First: 10 * time.Millisecond, Most: 100 * time.Millisecond, Crashes: 100, Within: time.Minute},
			Breaker: config.Breaker{Failures: 50, Batches: 20, Misses: 3, Open: time.Second},
		},
	}
}

// start returns a link's stage, started.
func start(t testing.TB, h *pluginhost.Host, l config.Link) sdk.Stage {
	t.Helper()
	s, err := tryStart(t, h, l)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tryStart(t testing.TB, h *pluginhost.Host, l config.Link) (sdk.Stage, error) {
	t.Helper()
	f, err := h.Factory(l)
	if err != nil {
		return nil, err
	}
	s, err := f.New(chain.LinkSpec{})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return s, s.(sdk.Starter).Start(ctx)
}

func stop(t testing.TB, s sdk.Stage) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.(sdk.Stopper).Stop(ctx); err != nil {
		t.Error(err)
	}
}

// message is an envelope from a connection.
func message(conn uint64) *sdk.Envelope {
	return &sdk.Envelope{
		Kind: sdk.KindSend, Mesh: "mesh", Priority: sdk.PriorityNext, Size: 500, Arrived: time.Now(),
		Sender: sdk.Sender{MemberID: "m-1", Member: sdk.Key{1}, Session: sdk.Key{2}, Name: "ada", Conn: conn},
		Target: sdk.Target{Kind: sdk.TargetKey, Key: sdk.Key{3}},
	}
}

// sized is a message of a size, which may tell the drill what to do.
func sized(n int) *sdk.Envelope {
	env := message(1)
	env.Size = n
	return env
}

// ask wants "continue" and returns the process that said so.
func ask(t testing.TB, s sdk.Stage, env *sdk.Envelope) (pid string) {
	t.Helper()
	d, err := s.Handle(t.Context(), env)
	if err != nil || d.Verdict != sdk.Continue {
		t.Fatalf("%+v, %v; want continue", d, err)
	}
	for _, a := range env.Attributes {
		if a.Key == "drill.pid" {
			return a.Value
		}
	}
	return ""
}

// status returns the only plugin's.
func status(t testing.TB, h *pluginhost.Host) pluginhost.Status {
	t.Helper()
	list := h.Status()
	if len(list) != 1 {
		t.Fatalf("%d plugins, want 1", len(list))
	}
	return list[0]
}

// until waits for a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", patience, what)
		}
		time.Sleep(time.Millisecond)
	}
}

// load keeps callers asking until it is ended, and counts what came back.
type load struct {
	done chan struct{}
	wg   sync.WaitGroup

	mu       sync.Mutex
	answered int
	failed   []error
	denied   int
}

func startLoad(t testing.TB, s sdk.Stage, callers int) *load {
	t.Helper()
	l := &load{done: make(chan struct{})}
	for c := range callers {
		l.wg.Go(func() {
			for {
				select {
				case <-l.done:
					return
				default:
				}
				d, err := s.Handle(context.Background(), message(uint64(c)))
				l.mu.Lock()
				switch {
				case err != nil:
					l.failed = append(l.failed, err)
				case d.Verdict != sdk.Continue:
					l.denied++
				default:
					l.answered++
				}
				l.mu.Unlock()
			}
		})
	}
	return l
}

func (l *load) count() (answered, failed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answered, len(l.failed)
}

// end stops the callers and wants every envelope to have been answered.
func (l *load) end(t testing.TB) {
	t.Helper()
	close(l.done)
	l.wg.Wait()
	if len(l.failed) > 0 || l.denied > 0 {
		t.Errorf("%d answered, %d denied, %d failed, the first: %v", l.answered, l.denied, len(l.failed), errors.Join(l.failed[:min(1, len(l.failed))]...))
	}
}

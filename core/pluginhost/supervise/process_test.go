package supervise_test

import (
	"context"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/pluginhost/process"
	"github.com/claudemesh/broker/core/pluginhost/process/processtest"
	"github.com/claudemesh/broker/core/pluginhost/supervise"
)

const patience = 20 * time.Second

// real supervises a real process in a mode.
type real struct {
	*supervise.Supervisor
	ups chan *process.Process // each life that came up
}

func newReal(t testing.TB, mode string, mtls bool, log *slog.Logger) *real {
	t.Helper()
	t.Setenv(processtest.ModeEnv, mode)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector lets an exit wait for 1 s
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	prog, err := process.Open(path, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = prog.Close() })
	dir := t.TempDir()
	r := &real{ups: make(chan *process.Process, 100)}
	r.Supervisor = supervise.New(supervise.Options{
		Name: func() string { return "filter" },
		Start: func(ctx context.Context) (supervise.Life, error) {
			return process.Start(ctx, prog, process.Options{RunDir: dir, Env: []string{processtest.ModeEnv, "GORACE"}, MTLS: mtls, StartTimeout: patience})
		},
		Up: func(l supervise.Life) error {
			p := l.(*process.Process)
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if _, err := processtest.Ask(ctx, p.Conn(), processtest.Ping, ""); err != nil {
				return err
			}
			r.ups <- p
			return nil
		},
		Log: log,
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *real) next(t testing.TB) *process.Process {
	t.Helper()
	select {
	case p := <-r.ups:
		return p
	case <-time.After(patience):
		t.Fatalf("it does not come up: %+v", r.State())
		return nil
	}
}

func (r *real) await(t testing.TB, want supervise.Phase) supervise.State {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		switch state := r.State(); {
		case state.Phase == want:
			return state
		case time.Now().After(deadline):
			t.Fatalf("got %+v, want phase %s", state, want)
		}
	}
}

func TestProcessIsRestarted(t *testing.T) {
	for name, mtls := range map[string]bool{"plain": false, "with certificates": true} {
		t.Run(name, func(t *testing.T) {
			r := newReal(t, processtest.Serve, mtls, nil)
			if err := r.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			first := r.next(t)
			begun := time.Now()
			if err := syscall.Kill(first.PID(), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			second := r.next(t)
			t.Logf("served again after %s", time.Since(begun))
			if first.PID() == second.PID() {
				t.Error("it is the same process")
			}
			r.await(t, supervise.Up)

			// the second one waits, and is one that hangs
			if err := syscall.Kill(second.PID(), syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			r.Kill("hang")
			r.next(t)
			state := r.await(t, supervise.Up)
			if state.Restarts[supervise.ReasonCrash] != 1 || state.Restarts["hang"] != 1 {
				t.Errorf("got %+v", state)
			}
		})
	}
}

func TestProcessInALoop(t *testing.T) {
	j := &journal{}
	r := newReal(t, processtest.CrashAfter, false, j.log())
	if err := r.Go(); err != nil {
		t.Fatal(err)
	}
	state := r.await(t, supervise.Quarantined)
	total := uint64(0)
	for _, n := range state.Restarts {
		total += n
	}
	if total != 5 {
		t.Errorf("it ended %d times: %+v", total, state)
	}
	if n := j.count("broker plugin resume filter"); n != 1 {
		t.Errorf("the log says %d times what to do", n)
	}
	t.Setenv(processtest.ModeEnv, processtest.Serve) // mended
	r.Resume()
	r.await(t, supervise.Up)
}

func TestProcessDoesNotStart(t *testing.T) {
	r := newReal(t, processtest.Fails, false, nil)
	err := r.Start(t.Context())
	if err == nil {
		t.Fatal("it started")
	}
	if state := r.State(); state.Phase != supervise.Stopped || state.LastExit.Reason != supervise.ReasonStart ||
		state.LastExit.Stderr != "no licence\n" {
		t.Errorf("got %+v", state)
	}
}

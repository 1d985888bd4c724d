package reload

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/sdk"
)

// drains makes each drain wait for one value of the channel that it returns.
func (r *rig) drains() (let chan error) {
	let = make(chan error)
	r.chains.ReloadFn = func(context.Context, config.Config) (func(context.Context) error, error) {
		return func(ctx context.Context) error {
			select {
			case err := <-let:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}, nil
	}
	return let
}

// load asks for a load by command, in a goroutine.
func (r *rig) command(o admin.ReloadOptions) func() (*admin.Reload, error) {
	var answer *admin.Reload
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		answer, err = r.Reload(context.Background(), o)
	}()
	return func() (*admin.Reload, error) {
		r.t.Helper()
		select {
		case <-done:
		case <-time.After(wait):
			r.t.Fatal("no answer")
		}
		return answer, err
	}
}

func TestReloadAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(path string) { write(t, path, window("1")) })
	let := r.drains()
	r.run()
	now, err := r.command(admin.ReloadOptions{})()
	if err != nil || !now.Applied || now.Drained || now.Generation != 2 {
		t.Errorf("without wait, while the old chain drains: %+v, %v", now, err)
	}
	waits := r.command(admin.ReloadOptions{Wait: true})
	let <- nil // the first load's
	let <- nil // its own
	if later, err := waits(); err != nil || !later.Drained || later.Generation != 3 {
		t.Errorf("with wait: %+v, %v", later, err)
	}
	waits = r.command(admin.ReloadOptions{Wait: true})
	let <- errors.New("3 of them")
	if _, err := waits(); err == nil || !strings.Contains(err.Error(), "generation 4 runs, but the chain before it did not end well: 3 of them") {
		t.Errorf("with a drain that fails: %v", err)
	}
	if l := r.Loaded(); l.Generation != 4 || l.LastError != nil {
		t.Errorf("a drain that fails is no failed load: %+v", l)
	}
}

// Whoever asks while a load is under way shares the next one, which reads the
// file after all of them have asked.
func TestNewestWins(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(path string) { write(t, path, window("1")) })
	let := r.drains()
	r.run()
	if _, err := r.command(admin.ReloadOptions{})(); err != nil {
		t.Fatal(err)
	}
	const callers = 20
	var loads []*round
	for range callers {
		loads = append(loads, r.ask(admin.ByCommand)) // what Reload does first
	}
	r.Trigger(admin.BySignal)
	r.Trigger(admin.ByFile)
	write(t, r.file, window("77"))
	let <- nil
	for _, load := range loads {
		<-load.runs
		if load.err != nil || load.answer.Generation != 3 || len(load.answer.Restart) != 1 {
			t.Errorf("got %+v, %v", load.answer, load.err)
		}
	}
	let <- nil
	if n := r.loads.Load(); n != 2 {
		t.Errorf("%d loads, want 2", n)
	}
}

// Loads never overlap, and a caller never gets the answer for a config that was
// read before it asked.
func TestReloadsAreSerial(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(path string) { write(t, path, window("1")) })
	var inside atomic.Int32
	r.chains.ReloadFn = func(context.Context, config.Config) (func(context.Context) error, error) {
		if inside.Add(1) != 1 {
			t.Error("two loads at once")
		}
		return func(context.Context) error { inside.Add(-1); return nil }, nil
	}
	r.run()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				before := r.loads.Load()
				if _, err := r.Reload(context.Background(), admin.ReloadOptions{Wait: true}); err != nil {
					t.Error(err)
				}
				if r.loads.Load() == before {
					t.Error("the answer is for an older config")
				}
			}
		})
	}
	wg.Wait()
	if n := r.Numbers(); int64(n.Generation) != r.loads.Load()+1 || n.Counts[Count{admin.ByCommand, Applied}] != r.loads.Load() {
		t.Errorf("%d loads: %+v", r.loads.Load(), n)
	}
}

func TestReloadRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(path string) { write(t, path, window("1")) })
	r.run()
	write(t, r.file, "limits: {window: no}\nlisten: 5\n")
	for _, o := range []admin.ReloadOptions{{DryRun: true}, {}, {Wait: true}} {
		_, err := r.Reload(t.Context(), o)
		var e *core.Error
		if !errors.As(err, &e) || e.Code != "invalid_config" || strings.Contains(e.Message, "\n") {
			t.Errorf("%+v: got %v", o, err)
		}
	}
	if n := r.Numbers(); n.Counts[Count{admin.ByCommand, Refused}] != 2 {
		t.Errorf("dry runs count, or others do not: %+v", n)
	}
	if l := r.Loaded(); l.Generation != 1 || l.LastError == nil || l.LastError.By != admin.ByCommand {
		t.Errorf("got %+v", l)
	}
}

func TestReloadOfStoppingBroker(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(path string) { write(t, path, window("1")) })
	r.drains()
	r.settings.DrainTimeout = 0
	r.run()
	if _, err := r.command(admin.ReloadOptions{Wait: true})(); err == nil || !strings.Contains(err.Error(), "generation 2 runs") {
		t.Errorf("a drain without time: %v", err)
	}
	r.stop()
	_, err := r.command(admin.ReloadOptions{})()
	var e *core.Error
	if !errors.As(err, &e) || e.Code != sdk.ReasonShuttingDown {
		t.Errorf("got %v", err)
	}
}

func TestReloadGivenUp(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(path string) { write(t, path, window("1")) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nothing runs: it would wait for ever
	if _, err := r.Reload(ctx, admin.ReloadOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/config"
)

// filesRig is a source whose dry runs are counted.
type filesRig struct {
	t          *testing.T
	app        *App
	file, prog string
	generation uint64
	checks     int
	err        error
	look       func(context.Context) (dryRun, error)
}

func newFilesRig(t *testing.T) *filesRig {
	dir := t.TempDir()
	r := &filesRig{t: t, app: new(App), file: filepath.Join(dir, "broker.yaml"), prog: filepath.Join(dir, "guard"), generation: 1}
	r.write(r.file, "one")
	r.write(r.prog, "program")
	r.app.config.Store(&config.Config{Pipeline: []config.Link{{Stage: "auth"}, {Stage: "guard", Plugin: &config.Plugin{Path: r.prog}}}})
	s := &consoleSource{app: r.app, options: Console{
		File:   r.file,
		Loaded: func() admin.Loaded { return admin.Loaded{Generation: r.generation} },
		Check: func(context.Context) (*admin.Reload, error) {
			r.checks++
			return &admin.Reload{Changes: []string{"guard: changed"}}, r.err
		},
	}}
	r.look = (&dryRuns{check: s.options.Check, mark: s.mark}).look
	return r
}

func (r *filesRig) write(path, text string) {
	r.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// looks looks so often, and wants so many dry runs of it.
func (r *filesRig) looks(n, want int) dryRun {
	r.t.Helper()
	before := r.checks
	var run dryRun
	for range n {
		run, _ = r.look(r.t.Context())
	}
	if got := r.checks - before; got != want {
		r.t.Errorf("%d dry runs in %d looks, want %d", got, n, want)
	}
	return run
}

// A dry run may start programs, so it is made once for each state of the files.
func TestDryRunIsMadeOnce(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*filesRig)
		want   int
	}{
		{"nothing changes", func(*filesRig) {}, 0},
		{"the file is written as it was", func(r *filesRig) { r.write(r.file, "one") }, 0},
		{"the file changes", func(r *filesRig) { r.write(r.file, "two") }, 1},
		{"the file goes", func(r *filesRig) { _ = os.Remove(r.file) }, 1},
		{"a program changes", func(r *filesRig) { r.write(r.prog, "another program") }, 1},
		{"a program goes", func(r *filesRig) { _ = os.Remove(r.prog) }, 1},
		{"another chain runs", func(r *filesRig) { r.generation++ }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newFilesRig(t)
			if run := r.looks(1, 1); !run.done || run.answer == nil || run.at.IsZero() {
				t.Errorf("the first look: got %+v", run)
			}
			r.looks(10, 0)
			tt.change(r)
			r.looks(1, 0) // it may be being written
			r.looks(10, tt.want)
		})
	}
}

func TestDryRunWaitsForAFileThatIsWritten(t *testing.T) {
	r := newFilesRig(t)
	r.looks(2, 1)
	for _, text := range []string{"t", "tw", "two"} {
		r.write(r.file, text)
		r.looks(1, 0)
	}
	r.looks(2, 1)
}

func TestDryRunTellsWhyAReloadIsRefused(t *testing.T) {
	r := newFilesRig(t)
	r.err = errors.New("no such stage:\n guarrd")
	if run := r.looks(3, 1); run.refused != "no such stage: guarrd" || run.answer != nil || !run.done {
		t.Errorf("got %+v", run)
	}
	r.err = nil
	r.write(r.file, "two")
	if run := r.looks(3, 1); run.refused != "" || run.answer == nil {
		t.Errorf("mended: got %+v", run)
	}
}

// What refused a dry run may pass by itself: the same files are tried again, ever
// more seldom, and the page can say when.
func TestDryRunIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFilesRig(t)
		r.err = errors.New("guard: did not start in 10s")
		run := r.looks(1, 1)
		for _, pause := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute} {
			if got := run.again.Sub(run.at); got != pause {
				t.Errorf("tried again after %v, want %v", got, pause)
			}
			time.Sleep(pause - time.Second)
			r.looks(10, 0)
			time.Sleep(time.Second)
			run = r.looks(10, 1)
		}
		r.watches(24*time.Hour, 40, 60)
		r.write(r.file, "two")
		if run = r.looks(10, 1); run.again.Sub(run.at) != dryRunAgain {
			t.Errorf("another file: tried again after %v", run.again.Sub(run.at))
		}
		r.err = nil
		time.Sleep(dryRunAgain)
		if run = r.looks(10, 1); run.refused != "" || run.answer == nil || !run.again.IsZero() {
			t.Errorf("it passed: got %+v", run)
		}
		r.watches(time.Hour, 0, 0)
	})
}

// watches looks as often as a page does, and wants so many dry runs of it.
func (r *filesRig) watches(d time.Duration, least, most int) {
	r.t.Helper()
	before := r.checks
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(dryRunEvery) {
		_, _ = r.look(r.t.Context())
	}
	if n := r.checks - before; n < least || n > most {
		r.t.Errorf("%d dry runs in %v, want %d to %d", n, d, least, most)
	}
}

// A broker whose config nobody can load again, and one without a file, have
// no diff to show.
func TestDryRunOfNothing(t *testing.T) {
	r := newFilesRig(t)
	s := &consoleSource{app: r.app}
	look := (&dryRuns{mark: s.mark}).look
	for range 3 {
		if run, err := look(t.Context()); run.done || err != nil {
			t.Errorf("got %+v, %v", run, err)
		}
	}
}

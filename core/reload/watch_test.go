package reload

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/config"
)

// never is a poll that does not come: what is seen was heard.
const never = time.Hour

// mounted lays a file out as a mounted ConfigMap is.
func mounted(t *testing.T, version, text string) func(path string) {
	return func(path string) {
		t.Helper()
		dir := filepath.Dir(path)
		must(t, os.Mkdir(filepath.Join(dir, version), 0o700))
		write(t, filepath.Join(dir, version, "broker.yaml"), text)
		must(t, os.Symlink(version, filepath.Join(dir, "..data.new")))
		must(t, os.Rename(filepath.Join(dir, "..data.new"), filepath.Join(dir, "..data")))
		if _, err := os.Lstat(path); err != nil {
			must(t, os.Symlink(filepath.Join("..data", "broker.yaml"), path))
		}
	}
}

// A file changes in each way that editors, operators and Kubernetes have.
func TestChangeIsSeen(t *testing.T) {
	t.Parallel()
	plain := func(t *testing.T) func(string) { return func(path string) { write(t, path, window("1")) } }
	for _, tt := range []struct {
		name   string
		place  func(t *testing.T) func(path string)
		change func(t *testing.T, path, text string)
	}{
		{"written in place", plain, write},
		{"a new file renamed over it", plain, func(t *testing.T, path, text string) {
			write(t, path+".new", text)
			must(t, os.Rename(path+".new", path))
		}},
		{"removed, and copied there", plain, func(t *testing.T, path, text string) {
			must(t, os.Remove(path))
			write(t, path, text)
		}},
		{"the link of a mounted directory swapped", func(t *testing.T) func(string) { return mounted(t, "..1", window("1")) },
			func(t *testing.T, path, text string) {
				version := "..2"
				if strings.Contains(text, "3") {
					version = "..3"
				}
				mounted(t, version, text)(path)
			}},
		{"the link to the file swapped", func(t *testing.T) func(string) {
			return func(path string) {
				other := t.TempDir()
				write(t, filepath.Join(other, "one"), window("1"))
				must(t, os.Symlink(filepath.Join(other, "one"), path))
			}
		}, func(t *testing.T, path, text string) {
			other := filepath.Join(t.TempDir(), "another")
			write(t, other, text)
			must(t, os.Symlink(other, path+".new"))
			must(t, os.Rename(path+".new", path))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, tt.place(t))
			r.run()
			r.watchFiles(never, never)
			for i, n := range []string{"2", "3"} { // twice: the watch must survive the first
				tt.change(t, r.file, window(n))
				l := r.until("loaded", func(l admin.Loaded) bool { return l.Generation == uint64(i)+2 })
				if want := sumOf(r.file); l.SHA256 != want || l.By != admin.ByFile || l.LastError != nil {
					t.Errorf("got %+v, want the sum %s", l, want)
				}
			}
			if n := r.loads.Load(); n != 2 {
				t.Errorf("%d loads for two changes", n)
			}
		})
	}
}

// What the system does not tell of, here because the directory itself is
// another one, is found by looking.
func TestPollFindsTheRest(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(path string) { write(t, path, window("1")) })
	r.run()
	r.watchFiles(20*time.Millisecond, never)
	must(t, os.Rename(r.dir, r.dir+".old"))
	must(t, os.Mkdir(r.dir, 0o700))
	write(t, r.file, window("2"))
	r.until("loaded", func(l admin.Loaded) bool { return l.Generation == 2 })
}

func TestBrokenFileIsMended(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(path string) { write(t, path, window("1")) })
	r.run()
	r.watchFiles(never, never)
	write(t, r.file, "limits: {windo")
	l := r.until("refused", func(l admin.Loaded) bool { return l.LastError != nil })
	if l.Generation != 1 || l.LastError.By != admin.ByFile || !strings.Contains(l.LastError.Text, "nothing was changed: ") {
		t.Errorf("got %+v, %+v", l, l.LastError)
	}
	if n := r.Numbers(); n.Successful || n.Counts[Count{admin.ByFile, Refused}] != 1 {
		t.Errorf("got %+v", n)
	}
	write(t, r.file, window("2"))
	r.until("loaded", func(l admin.Loaded) bool { return l.Generation == 2 && l.LastError == nil })
	if n := r.loads.Load(); n != 2 {
		t.Errorf("%d loads, want one for each content", n)
	}
	if n := r.Numbers(); !n.Successful || n.Generation != 2 || n.Counts[Count{admin.ByFile, Applied}] != 1 {
		t.Errorf("got %+v", n)
	}
}

func TestMissingFile(t *testing.T) {
	t.Parallel()
	t.Run("that comes back as it was is no change", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(path string) { write(t, path, window("1")) })
		r.run()
		r.watchFiles(never, never)
		must(t, os.Remove(r.file))
		write(t, r.file, window("1"))
		write(t, r.file, window("2")) // seen after the others
		r.until("loaded", func(l admin.Loaded) bool { return l.Generation == 2 })
		if n := r.loads.Load(); n != 1 {
			t.Errorf("%d loads", n)
		}
	})
	t.Run("that stays away is an error until it is back", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(path string) { write(t, path, window("1")) })
		r.run()
		r.watchFiles(never, 50*time.Millisecond)
		must(t, os.Remove(r.file))
		l := r.until("refused", func(l admin.Loaded) bool { return l.LastError != nil })
		if !strings.Contains(l.LastError.Text, "cannot be read") || l.Generation != 1 {
			t.Errorf("got %+v, %+v", l, l.LastError)
		}
		write(t, r.file, window("1"))
		r.until("back", func(l admin.Loaded) bool { return l.LastError == nil && l.Generation == 2 })
	})
}

// The program of a plugin counts like the file: by content, through links, and
// only while a link of the pipeline starts it.
func TestProgramIsWatched(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "guard")
	write(t, program, "one")
	r := newRig(t, func(path string) {
		write(t, path, "pipeline: [{stage: auth}, {stage: guard, plugin: {path: "+program+"}}, {stage: route}]\n")
	})
	r.run()
	r.watchFiles(never, never)
	write(t, program+".new", "two")
	must(t, os.Chtimes(program+".new", time.Now(), time.Now().Add(-time.Hour))) // as cp -p has it
	must(t, os.Rename(program+".new", program))
	r.until("loaded", func(l admin.Loaded) bool { return l.Generation == 2 && l.By == admin.ByFile })

	write(t, program, "three")
	answer, err := r.Reload(t.Context(), admin.ReloadOptions{DryRun: true})
	if err != nil || len(answer.Changes) == 0 || answer.Changes[len(answer.Changes)-1] != "guard: another program" {
		t.Errorf("a dry run with another program says %+v, %v", answer, err)
	}
	r.until("loaded again", func(l admin.Loaded) bool { return l.Generation == 3 })
	write(t, r.file, "pipeline: [{stage: auth}, {stage: route}]\n")
	r.until("loaded without", func(l admin.Loaded) bool { return l.Generation == 4 })
	if r.changed() || len(r.lastTried()) != 1 {
		t.Errorf("watched: %v", r.lastTried())
	}
}

// A program that a refused config names is watched too: mending it mends that.
func TestRefusedProgramIsWatched(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "guard")
	write(t, program, "broken")
	r := newRig(t, func(path string) { write(t, path, window("1")) })
	r.chains.ReloadFn = func(context.Context, config.Config) (func(context.Context) error, error) {
		if data, err := os.ReadFile(program); err != nil || string(data) != "good" {
			return nil, os.ErrInvalid
		}
		return func(context.Context) error { return nil }, nil
	}
	r.run()
	r.watchFiles(never, never)
	write(t, r.file, "pipeline: [{stage: auth}, {stage: guard, plugin: {path: "+program+"}}, {stage: route}]\n")
	r.until("refused", func(l admin.Loaded) bool { return l.LastError != nil })
	write(t, program, "good")
	r.until("loaded", func(l admin.Loaded) bool { return l.Generation == 2 && l.LastError == nil })
}

func TestNothingToWatch(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(path string) { write(t, path, "reload: {watch: false}\n") })
	r.watch(t.Context(), never, never) // returns
}

// A file that can be read only once is loaded, and not watched.
func TestReadFileOnce(t *testing.T) {
	t.Parallel()
	o := config.Options{Path: os.DevNull}
	if l := ReadFile(&o); l.File != "" || l.SHA256 == "" || o.File == nil {
		t.Errorf("got %+v, %v", l, o.File)
	}
	o = config.Options{Environ: []string{config.ConfigVariable + "=" + filepath.Join(t.TempDir(), "none")}}
	if l := ReadFile(&o); l.File == "" || l.SHA256 != "" || o.File != nil {
		t.Errorf("a file that is not there: %+v", l)
	}
}

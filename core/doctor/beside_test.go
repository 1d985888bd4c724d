package doctor

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/backend"
	"github.com/claudemesh/broker/core/control"
	"github.com/claudemesh/broker/core/identity"
)

// grow makes many meshes, as a broker does that starts and ends.
func (r *rig) grow() {
	r.t.Helper()
	st, err := backend.OpenStore(r.t.Context(), r.Config, slog.New(slog.DiscardHandler))
	if err != nil {
		r.t.Fatal(err)
	}
	defer st.Close()
	ops := admin.New(st, key, admin.Hooks{URL: func() string { return "ws://127.0.0.1/ws" }})
	for i := range 40 {
		if _, err := ops.CreateMesh(r.t.Context(), fmt.Sprint("grown", i), admin.MeshOptions{Members: 5}); err != nil {
			r.t.Fatal(err)
		}
	}
}

// TestWrittenMeanwhile holds that a healthy store is not called damaged because
// somebody writes while it is looked at.
func TestWrittenMeanwhile(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	seen := map[string]int{}
	Examine(t.Context(), r.Subject, func(f Finding) {
		if seen[f.Check]++; f.Check == CheckStore {
			r.grow()
		}
		if f.State != OK {
			t.Errorf("this is not wrong: %+v", f)
		}
	})
	for _, check := range []string{CheckStore, CheckIntegrity, CheckMigrations, CheckKey} {
		if seen[check] != 1 {
			t.Errorf("%s was told of %d times", check, seen[check])
		}
	}
}

// TestWrittenAgainAndAgain holds that what was found in a store that never rests
// is a warning, and that the look ends.
func TestWrittenAgainAndAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	looks := 0
	r.Keys = func() (*identity.AtRest, error) {
		looks++
		r.touched(-time.Duration(looks) * time.Minute)
		return nil, identity.ErrAtRestKey
	}
	r.wants(Finding{CheckStore, Warn, "changed meanwhile", "again"})
	if looks != 2 {
		t.Errorf("%d looks", looks)
	}
}

// TestHeldWhileRead holds that no broker starts on a store that is read without
// SQLite's locks, and that it can afterwards.
func TestHeldWhileRead(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	unlock, err := control.Lock(t.Context(), r.Config.DataDir) // a broker was here
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	held := false
	r.Keys = func() (*identity.AtRest, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start, err := control.Lock(ctx, r.Config.DataDir)
		if held = err != nil; !held {
			start()
		}
		return key, nil
	}
	r.wants(Finding{CheckStore, OK, "SQLite", ""})
	if !held {
		t.Error("a broker could start meanwhile")
	}
	if unlock, err = control.Lock(t.Context(), r.Config.DataDir); err != nil {
		t.Fatal(err)
	}
	unlock()
}

// TestNothingIsLeftBehind holds that a copy of a store with its log, and without
// the index that goes with it, is as it was.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	for name, log := range map[string]func(*rig){
		"an empty log": func(r *rig) { r.writeLog("") },
		"a log":        (*rig).keepLog,
		"what is no log": func(r *rig) {
			r.keepLog()
			r.writeLog(strings.Repeat("x", 9000))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "")
			log(r)
			before := r.dir()
			list := r.examine()
			if after := r.dir(); after != before {
				t.Errorf("before: %s\nafter:  %s", before, after)
			}
			if text := show(list); !strings.Contains(text, "opens the secrets of 1 mesh(es)") {
				t.Error(text)
			}
		})
	}
}

func (r *rig) writeLog(text string) {
	r.t.Helper()
	if err := os.WriteFile(r.path()+"-wal", []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// keepLog leaves the store with a log in which something is, as a copy of it
// has that was made while a broker ran.
func (r *rig) keepLog() {
	r.t.Helper()
	st, err := backend.OpenStore(r.t.Context(), r.Config, slog.New(slog.DiscardHandler))
	if err != nil {
		r.t.Fatal(err)
	}
	defer st.Close()
	r.sql(`UPDATE mesh SET name = 'x'`)
	dir := r.t.TempDir()
	for _, end := range []string{"", "-wal"} {
		text, err := os.ReadFile(r.path() + end)
		if err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/"+backend.StoreName+end, text, 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		r.t.Fatal(err)
	}
	r.Config.DataDir = dir
}

// dir lists the data directory.
func (r *rig) dir() string {
	r.t.Helper()
	files, err := os.ReadDir(r.Config.DataDir)
	if err != nil {
		r.t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			r.t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %v %d %v; ", f.Name(), info.Mode(), info.Size(), info.ModTime())
	}
	return b.String()
}

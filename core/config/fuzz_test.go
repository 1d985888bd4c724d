package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// FuzzConfig: no file makes Load panic, take long or say without end; and what
// is loaded, printed and loaded again is the same.
func FuzzConfig(f *testing.F) {
	for _, pattern := range []string{"testdata/*/*.txt", "../../configs/*.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			f.Fatal("no seeds", err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			input, _, _ := bytes.Cut(data, []byte(separator))
			f.Add(input)
		}
	}
	known := append(builtins(), Builtin{Name: "free"})
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		l, err := Load(Options{Path: "f.yaml", File: data, Builtins: known})
		if took := time.Since(start); took > 10*time.Second {
			t.Fatalf("took %s", took)
		}
		if err != nil {
			problems := Problems(nil)
			if !errors.As(err, &problems) {
				t.Fatalf("no problem of the file, but of ours: %v", err)
			}
			if len(problems) > maxProblems+1 {
				t.Fatalf("%d problems", len(problems))
			}
			for _, p := range problems {
				if n := len(p.Error()); n > 4000 {
					t.Fatalf("%d bytes: %s", n, p.Error()[:200])
				}
			}
			return
		}
		if l.Config.EncryptionKey != "" || l.Config.Store.URL != "" || l.Config.HTTP.SyncSecret != "" {
			return // masked, so it does not read back
		}
		printed := l.YAML()
		again, err := Load(Options{Path: "f.yaml", File: printed, Builtins: known})
		if err != nil {
			t.Fatalf("what was printed does not load: %v\n%s", err, printed)
		}
		if hidden(l.Config) {
			return
		}
		if diff := cmp.Diff(l.Config, again.Config); diff != "" {
			t.Fatalf("-loaded +printed and loaded:\n%s\n%s", diff, printed)
		}
	})
}

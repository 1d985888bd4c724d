package config

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// separator stands in a golden file between what is read and what comes out.
const separator = "----------\n"

// limitOptions are the options of a stage, as its author would write them.
type limitOptions struct {
	Send  Rate          `koanf:"send" doc:"messages of one member"`
	Burst int           `koanf:"burst" limit:"1..1000" doc:"messages at once"`
	Key   string        `koanf:"key" one:"member|session" doc:"who shares a bucket"`
	Idle  time.Duration `koanf:"idle" doc:"when an unused bucket goes"`
	Deep  struct {
		Ratio float64  `koanf:"ratio" limit:"0..1" doc:"a part"`
		Names []string `koanf:"names" doc:"who is exempt"`
	} `koanf:"deep" doc:"more"`
}

func (o *limitOptions) Validate() error {
	if o.Burst > o.Send.Count*10 {
		return errors.New("burst is more than ten times send")
	}
	return nil
}

func defaultLimits() any {
	o := &limitOptions{Send: Rate{60, time.Minute}, Burst: 10, Key: "member", Idle: 10 * time.Minute}
	o.Deep.Ratio = 0.5
	o.Deep.Names = []string{"root"}
	return o
}

func builtins() []Builtin {
	return []Builtin{
		{Name: "auth", Needed: true, Guards: true},
		{Name: "legacy-auth"},
		{Name: "grants", Guards: true},
		{Name: "rate-limit", Options: defaultLimits},
		{Name: "route", Needed: true},
		{Name: "audit"},
	}
}

func TestDefaultsAreWhatNothingGives(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"no file":      {},
		"empty file":   {File: []byte{}},
		"comment only": {File: []byte("# nothing\n")},
		"empty parts":  {File: []byte("limits:\nqueue:\n  # offline: refuse\n")},
		"a separator":  {File: []byte("---\n")},
		"a mark":       {File: []byte("\uFEFF")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.Builtins = builtins()
			l, err := Load(o)
			if err != nil {
				t.Fatal(err)
			}
			want := Default()
			want.DataDir = "./data"
			if diff := cmp.Diff(want, l.Config); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if len(l.Warnings) > 0 {
				t.Errorf("warnings: %q", l.Warnings)
			}
			if got := l.Changed(); len(got) > 0 {
				t.Errorf("changed: %s", got)
			}
		})
	}
}

// Good files hold a file and what it changes; bad files hold one and its
// problems.
func TestFiles(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/*/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.ToSlash(path), ".txt"), func(t *testing.T) {
			t.Parallel()
			golden, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := bytes.Cut(golden, []byte(separator))
			l, err := Load(Options{Path: "broker.yaml", File: input, Builtins: builtins()})
			var got []byte
			switch bad := strings.Contains(path, "bad"); {
			case bad && err == nil:
				t.Fatal("loaded without a problem")
			case bad:
				got = []byte(err.Error() + "\n")
			case err != nil:
				t.Fatal(err)
			default:
				got = l.Changed()
				for _, w := range l.Warnings {
					got = append(got, "# warning: "+w+"\n"...)
				}
			}
			if *update {
				write(t, path, append(append(bytes.Clone(input), separator...), got...))
				return
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("refresh with go test ./core/config -update; -want +got:\n%s", diff)
			}
		})
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestReference holds the committed example true. The manual is held by
// cmd/broker, which knows the stages.
func TestReference(t *testing.T) {
	t.Parallel()
	for path, got := range map[string][]byte{
		"../../configs/full.yaml": Full(),
	} {
		if *update {
			write(t, path, got)
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is out of date; refresh it with go test ./core/config -run Reference -update\n%s", path, diff)
		}
	}
}

func TestExamplesLoad(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"minimal.yaml", "full.yaml"} {
		l, err := Load(Options{Path: filepath.Join("../../configs", name), Builtins: builtins()})
		if err != nil {
			t.Error(err)
			continue
		}
		if len(l.Warnings) > 0 {
			t.Errorf("%s: %q", name, l.Warnings)
		}
		want := Default()
		want.DataDir = "./data"
		if diff := cmp.Diff(want, l.Config); name == "full.yaml" && diff != "" {
			t.Errorf("full.yaml does not say the defaults, -default +file:\n%s", diff)
		}
	}
}

// Every key must have a meaning, and every tag must fit its type.
func TestTags(t *testing.T) {
	t.Parallel()
	for key, f := range leavesOf() {
		if f.doc == "" || strings.HasSuffix(f.doc, ".") {
			t.Errorf("%s: doc must say something, and have no full stop: %q", key, f.doc)
		}
		bounds(f.limit, f.typ) // panics
		if VariableName(key) != strings.ToUpper(VariableName(key)) {
			t.Errorf("%s has no variable", key)
		}
	}
	for _, v := range Environment() {
		if v.Effect != Sets || v.Key == "pipeline" {
			continue
		}
		if _, ok := leavesOf()[v.Key]; !ok {
			t.Errorf("%s sets %s, which is no key", v.Name, v.Key)
		}
	}
}

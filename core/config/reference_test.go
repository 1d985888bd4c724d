package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestReferenceOfOptions(t *testing.T) {
	t.Parallel()
	got := string(Reference(builtins()))
	for _, row := range []string{
		"### `with` of `rate-limit`\n",
		"| `send` | rate | `60/min` | Messages of one member. |\n",
		"| `burst` | whole number | `10` | Messages at once. Allowed: from 1 to 1000. |\n",
		"| `key` | word | `member` | Who shares a bucket. Allowed: member or session. |\n",
		"| `idle` | duration | `10m` | When an unused bucket goes. |\n",
		"| `deep.ratio` | number | `0.5` | A part. Allowed: from 0 to 1. |\n",
		"| `deep.names` | list of text | `[root]` | Who is exempt. |\n",
	} {
		if !strings.Contains(got, row) {
			t.Errorf("lacks %s", row)
		}
	}
	if strings.Contains(got, "`with` of `auth`") {
		t.Error("auth has no options to document")
	}
}

// TestReferenceIsWhole wants a row for each key that can be set, however deep.
func TestReferenceIsWhole(t *testing.T) {
	t.Parallel()
	got := string(Reference(builtins()))
	for key, f := range leaves(reflect.TypeFor[Config]()) {
		if f.typ != reflect.TypeFor[[]Link]() && !strings.Contains(got, "\n| `"+key+"` | ") {
			t.Errorf("no row for %s", key)
		}
	}
}

var standardName = regexp.MustCompile(`"(OTEL_[A-Z_]*[A-Z])"`)

// TestReferenceOfStandardVariables wants every variable of OpenTelemetry that the
// code reads by its name.
func TestReferenceOfStandardVariables(t *testing.T) {
	t.Parallel()
	got, found := string(Reference(nil)), 0
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		data, err := os.ReadFile(path)
		for _, m := range standardName.FindAllStringSubmatch(string(data), -1) {
			if found++; !strings.Contains(got, "\n| `"+m[1]+"` | ") {
				t.Errorf("no row for %s, which %s reads", m[1], path)
			}
		}
		return err
	})
	if err != nil || found == 0 {
		t.Errorf("read %d names: %v", found, err)
	}
	for _, v := range standardVariables() {
		for key := range strings.SplitSeq(v.over, ", ") {
			if _, ok := lookup(reflect.TypeFor[Config](), key); !ok && key != "" {
				t.Errorf("%s wins over %s, which is no key", v.name, key)
			}
		}
	}
}

func TestDurationsAreWrittenShort(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"0s": 0, "250ms": 250 * time.Millisecond, "75s": 75 * time.Second, "5m": 5 * time.Minute,
		"168h": 168 * time.Hour, "24h30m": 24*time.Hour + 30*time.Minute, "1h0m1s": time.Hour + time.Second,
		"1m0.5s": 60500 * time.Millisecond,
	} {
		if got := duration(d); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if back, err := time.ParseDuration(want); err != nil || back != d {
			t.Errorf("%s reads as %s, %v", want, back, err)
		}
	}
}

func TestEngine(t *testing.T) {
	t.Parallel()
	if got := (Store{}).Engine(); got != "sqlite" {
		t.Errorf("got %s", got)
	}
	if got := (Store{URL: "postgres://h/d"}).Engine(); got != "postgres" {
		t.Errorf("got %s", got)
	}
}

package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/config"
)

func TestPin(t *testing.T) {
	const hash = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	for name, c := range map[string]struct{ before, after string }{
		"added below the path": {
			"# mine\npipeline:\n  - stage: auth\n  - stage: hours # Ä\n    plugin:\n      path: ./bin/hours  # built by make\n      env: [PATH]\n",
			"# mine\npipeline:\n  - stage: auth\n  - stage: hours # Ä\n    plugin:\n      path: ./bin/hours  # built by make\n      sha256: \"HASH\"\n      env: [PATH]\n",
		},
		"replaced": {
			"pipeline:\n  - stage: x\n    name: hours\n    plugin:\n      sha256: 'abc' # old\n      path: p\n",
			"pipeline:\n  - stage: x\n    name: hours\n    plugin:\n      sha256: \"HASH\" # old\n      path: p\n",
		},
		"flow": {
			"pipeline:\n  - {stage: hours, plugin: {path: ./bin/hours, env: [PATH]}}\n",
			"pipeline:\n  - {stage: hours, plugin: {path: ./bin/hours, sha256: \"HASH\", env: [PATH]}}\n",
		},
		"flow, replaced": {
			"pipeline:\n  - stage: hours\n    plugin: {path: ./bin/hours, sha256: \"old\"}\n",
			"pipeline:\n  - stage: hours\n    plugin: {path: ./bin/hours, sha256: \"HASH\"}\n",
		},
		"last line without an end": {
			"pipeline:\n  - stage: hours\n    plugin:\n      path: p",
			"pipeline:\n  - stage: hours\n    plugin:\n      path: p\n      sha256: \"HASH\"\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := config.Pin([]byte(c.before), "hours", hash)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.ReplaceAll(c.after, "HASH", hash), string(got)); diff != "" {
				t.Error(diff)
			}
			again, err := config.Pin(got, "hours", hash)
			if err != nil || string(again) != string(got) {
				t.Errorf("pinned twice: %v\n%s", err, again)
			}
		})
	}
}

func TestPinRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "the file is no mapping",
		"listen: x\n":                   "the file has no pipeline",
		"pipeline:\n  - stage: auth\n":  "the file has no link named hours",
		"pipeline:\n  - stage: hours\n": "link hours has no plugin section",
		"pipeline:\n  - stage: hours\n    plugin:\n      env: [A]\n": "link hours: its plugin has no path",
	} {
		_, err := config.Pin([]byte(text), "hours", "0")
		if err == nil || err.Error() != want {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

// Whatever a file holds, Pin returns.
func FuzzPin(f *testing.F) {
	f.Add("pipeline:\n !0 #0")
	f.Add("pipeline:\n  - stage: hours\n    plugin: {path: p}\n")
	f.Add("pipeline: [{stage: hours, plugin: {path: \"a\\nb\", sha256: |\n x\n}}]")
	f.Fuzz(func(t *testing.T, text string) {
		if out, err := config.Pin([]byte(text), "hours", "0"); err == nil && len(out) < len(text)-len(text)/2 {
			t.Errorf("%q became %q", text, out)
		}
	})
}

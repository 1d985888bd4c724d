package conform_test

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/core/pluginhost/conform"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

func TestMain(m *testing.M) {
	if os.Getenv(pluginpb.CookieKey) == pluginpb.CookieValue {
		serveFaulty(os.Args[1])
	}
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil { // else a plugin in a race build ends a second late
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// check runs the list against a faulty plugin, and returns what fails, and what
// there was nothing to check for.
func check(t *testing.T, fault string) (failed, skipped []string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := config.Load(config.Options{File: fmt.Appendf(nil,
		"insecure: true\npipeline:\n  - stage: faulty\n    plugin: {path: %q, args: [%q], env: [GORACE]}\n", self, fault)})
	if err != nil {
		t.Fatal(err)
	}
	h, err := pluginhost.New(pluginhost.Options{RunDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ok := conform.Run(t.Context(), conform.Subject{Host: h, Link: loaded.Config.Pipeline[0]}, func(r conform.Result) {
		switch {
		case !r.OK:
			failed = append(failed, r.Case+": "+r.Text)
		case r.Text != "":
			skipped = append(skipped, r.Case)
		}
	})
	if ok != (len(failed) == 0) {
		t.Errorf("Run says %v, with %d failures", ok, len(failed))
	}
	return failed, skipped
}

func TestAPluginWithoutAFault(t *testing.T) {
	t.Parallel()
	for fault, skips := range map[string]int{"none": 2, "unary": 4, "observer": 6, "traced": 1, "traced unary": 3} {
		failed, skipped := check(t, fault)
		if len(failed) > 0 || len(skipped) != skips {
			t.Errorf("%s: failed %q, skipped %q", fault, failed, skipped)
		}
	}
}

// Each fault is found, by the case that says so, and with what to do.
func TestFaults(t *testing.T) {
	t.Parallel()
	for fault, want := range map[string]string{
		"version":               "it says who it is: its version is \"one\"",
		"summary":               "it describes its stages: the stage faulty has no summary",
		"schema":                "its schema compiles and takes its example: its schema is not one of JSON Schema",
		"example":               "its schema compiles and takes its example: its schema refuses {\"most\": \"three\"}",
		"mute":                  "it judges empty options with clear words: its Validate of {} has a diagnostic without a message",
		"any option":            "it refuses an option that it does not have: it accepts",
		"any stage":             "it refuses a stage that it does not have: its Validate accepts",
		"count":                 "it runs two instances at once: the answer to a batch of 3 has the count 4",
		"unset":                 "it answers batches of 1 and of 64: the answer to a batch of 1 has the default verdict 0",
		"drop":                  "needs the capability verdict.drop",
		"failing":               "the stage failed: \"panic: oh\"",
		"twice":                 "it answers 16 batches at once, each one time: it answered the batch 1 twice",
		"crash":                 "it runs two instances at once: the program is gone: it ended with exit code 7",
		"slow pong":             "it answers a ping while it works: a ping was answered after 1.",
		"any instance":          "it refuses an instance that it does not have: its ProcessBatch answers",
		"traced, and silent":    "it brings the spans of sampled envelopes: it has the feature trace/1, and brought the spans of 0 of 2",
		"traced, and forging":   "it brings the spans of sampled envelopes: its span \"plugin/faulty\" is of a trace",
		"traced, and rootless":  "it brings the spans of sampled envelopes: its span \"plugin/faulty\" has the parent",
		"traced, and backwards": "it brings the spans of sampled envelopes: its span \"plugin/faulty\" ends before it starts",
		"traced, and unasked":   "it brings the spans of sampled envelopes: its span \"plugin/faulty\" is of a trace",
		"deaf":                  "it is told outcomes: outcomes were not acknowledged",
		"unfinished":            "it drains an instance: its Drain says that 2",
		"stubborn":              "it ends within 2 s when it is told to: it was told to end",
		"immortal":              "it ends when the broker dies: it lives on",
		"chatty":                "it starts and shakes hands, with nothing before that on standard output: ",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			failed, _ := check(t, fault)
			if all := strings.Join(failed, "\n"); !strings.Contains(all, want) {
				t.Errorf("got\n%s\nwant %q in it", all, want)
			}
		})
	}
}

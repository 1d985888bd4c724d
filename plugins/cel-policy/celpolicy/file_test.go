package celpolicy

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAFileSaysWhereItIsWrong(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string // each in the error, in this order
	}{
		{"no YAML", "rules: [", []string{"F:1:"}},
		{"what the reader of YAML panics on", "rules:\n !0 #0", []string{"F: no YAML that can be read"}},
		{"an unknown word", "rules:\n  - name: a\n    wen: 'true'\n", []string{`F:3:5: unknown field "wen"`}},
		{"a wrong type", "rules: 3\n", []string{"F:1:8: "}},
		{"a bad default", "default: drop\nrules: []\n", []string{`F:1:10: default: "drop" is neither`}},
		{
			"a plain expression", "rules:\n  - name: a\n    when: message.sice > 3\n    then: refuse\n",
			[]string{"F:3:18: rule a: when: undeclared reference to 'message.sice' (did you mean 'message.size'?)"},
		},
		{
			"no name at all", "rules:\n  - name: a\n    when: zzz\n    then: refuse\n",
			[]string{"F:3:11: rule a: when: undeclared reference to 'zzz'", "known are attributes, message.arrived"},
		},
		{
			"a quoted expression", "rules:\n  - name: a\n    when: 'true && foo'\n    then: refuse\n",
			[]string{"F:3:20: rule a: when: undeclared reference to 'foo'"},
		},
		{
			"a long expression",
			"rules:\n  - name: a\n    when: |\n      true &&\n        foo\n    then: refuse\n",
			[]string{"F:5:9: rule a: when: undeclared reference to 'foo'"},
		},
		{
			"what is neither true nor false", "rules:\n  - name: a\n    when: message.size\n    then: refuse\n",
			[]string{"F:3:11: rule a: when: is int; it has to be true or false"},
		},
		{"types that do not fit", "rules:\n  - {name: a, when: message.size == 'x', then: refuse}\n", []string{"F:2:34: rule a: when: found no matching overload"}},
		{"what is missing", "rules:\n  - name: a\n    then: refuse\n", []string{"F:2:", "rule a: when: is empty"}},
		{
			"all of it at once",
			"rules:\n  - {name: a, when: 'true', then: reject}\n  - {name: a, when: 'true', then: refuse, reason: 'Too Big'}\n",
			[]string{`F:2:35: rule a: then: "reject" is none of`, `rule a: reason: "Too Big" is no machine word`, "rule a: name: there is a rule of this name"},
		},
		{"a hold without a time", "rules:\n  - {name: a, when: 'true', then: hold}\n", []string{"rule a: for: has to be above 0s"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, filepath.Join(t.TempDir(), "rules.yaml"), tt.text)
			o := Default()
			o.File = path
			_, err := New(o)
			if err == nil {
				t.Fatal("got no error")
			}
			got := strings.ReplaceAll(err.Error(), path, "F")
			rest := got
			for _, want := range tt.want {
				_, after, ok := strings.Cut(rest, want)
				if !ok {
					t.Fatalf("got\n%s\nwant %q in it", got, want)
				}
				rest = after
			}
		})
	}
}

func write(t testing.TB, path, text string) string {
	t.Helper()
	other := path + ".new"
	if err := os.WriteFile(other, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, path); err != nil { // as careful editors do
		t.Fatal(err)
	}
	return path
}

func TestOptionsSayWhatIsWrong(t *testing.T) {
	tests := []struct {
		want    string
		granted plugin.Grants
		change  func(*Options)
	}{
		{"file: is empty, and there are no rules", Capabilities(), func(o *Options) { o.Rules = nil }},
		{"rules: there is a file too", Capabilities(), func(o *Options) { o.File = "/x" }},
		{"file: \"x\" is no absolute path", Capabilities(), func(o *Options) { o.File, o.Rules = "x", nil }},
		{"file: open /none: no such file", Capabilities(), func(o *Options) { o.File, o.Rules = "/none", nil }},
		{"cost_limit: ", Capabilities(), func(o *Options) { o.CostLimit = 0 }},
		{"check_every: ", Capabilities(), func(o *Options) { o.CheckEvery = 0 }},
		{"kinds: ", Capabilities(), func(o *Options) { o.Kinds = nil }},
		{"default: ", Capabilities(), func(o *Options) { o.Default = "" }},
		{"rules.0.when: 1:9: undeclared reference to 'foo'", Capabilities(), func(o *Options) { o.Rules[0].When = "true || foo" }},
		{"rules.0.text: is only for refuse", Capabilities(), func(o *Options) { o.Rules[0].Text = "x" }},
		{"rules.0.priority: \"soon\" is none of", Capabilities(), func(o *Options) { o.Rules[0].Priority = "soon" }},
		{"rules.0.then: drop needs verdict.drop", nil, func(o *Options) { o.Rules[0].Then = Drop }},
		{"rules.0.then: hold needs delivery.hold", nil, func(o *Options) { o.Rules[0].Then = Hold; o.Rules[0].For = 1 }},
		{"rules.0.priority: needs priority.write", nil, func(o *Options) { o.Rules[0].Priority = "now" }},
		{"message.sender.name needs identity.read", nil, func(o *Options) { o.Rules[0].When = `message.sender.name == "x"` }},
		{"message.sender.member_id needs identity.read", nil, func(o *Options) { o.Rules[0].When = `message.sender.member_id == "x"` }},
		{"attributes needs attributes.read", plugin.Grants{plugin.IdentityRead}, func(o *Options) { o.Rules[0].When = `"x" in attributes` }},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			o := options(Rule{Name: "r", When: "true", Then: Continue})
			tt.change(&o)
			stage, err := New(o)
			if err == nil {
				err = stage.Granted(tt.granted)
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}

// logged collects what a stage logs. Safe for concurrent use.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSpace(l.text.String()), "\n")
}

const (
	refuseAll = "default: refuse\n"
	refuseBig = "rules:\n  - {name: big, when: message.size > 100, then: refuse, reason: big}\n"
	broken    = "rules:\n  - {name: big, when: message.sice > 100, then: refuse}\n"
)

func reason(t testing.TB, s *Stage) sdk.Reason {
	t.Helper()
	d, err := s.Handle(t.Context(), envelope())
	if err != nil {
		t.Fatal(err)
	}
	return d.Reason
}

func TestABrokenFileKeepsTheOldRules(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "rules.yaml"), refuseBig)
	o := Default()
	o.File = path
	s := mustStage(t, o)
	log := new(logged)
	s.log = slog.New(slog.NewTextHandler(log, nil))
	steps := []struct {
		name string
		do   func()
		want sdk.Reason
		log  string // a line that it adds; empty: none
	}{
		{"nothing", func() {}, "big", ""},
		{"a broken file", func() { write(t, path, broken) }, "big", path + ":2:30: rule big: when: undeclared reference"},
		{"no file", func() { os.Remove(path) }, "big", "no such file"},
		{"a good file", func() { write(t, path, refuseAll) }, "policy", "the rules have changed"},
	}
	lines := 0
	for _, step := range steps {
		step.do()
		s.look()
		s.look() // nothing is said twice
		if got := reason(t, s); got != step.want {
			t.Errorf("%s: got %q, want %q", step.name, got, step.want)
		}
		if step.log != "" {
			lines++
		}
		got := log.lines()
		if step.log != "" && (len(got) != lines || !strings.Contains(got[lines-1], step.log)) {
			t.Errorf("%s: got the log\n%s\nwant %d lines, the last with %q", step.name, strings.Join(got, "\n"), lines, step.log)
		}
	}
}

func TestAChangedFileIsSeen(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "rules.yaml"), refuseBig)
	o := Default()
	o.File, o.CheckEvery = path, plugin.Duration(time.Millisecond)
	s := mustStage(t, o)
	s.log = slog.New(slog.DiscardHandler)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	write(t, path, refuseAll)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); reason(t, s) != Reason; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("the new rules were not taken")
		}
	}
}

// Envelopes are judged by the old rules or by the new ones, and by no mixture.
func TestRulesChangeUnderLoad(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "rules.yaml"), refuseBig)
	o := Default()
	o.File = path
	s := mustStage(t, o)
	s.log = slog.New(slog.DiscardHandler)
	stop := make(chan struct{})
	var judges sync.WaitGroup
	for range 4 {
		judges.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := reason(t, s); got != "big" && got != Reason {
					t.Errorf("got %q", got)
					return
				}
			}
		})
	}
	for i := range 100 {
		write(t, path, []string{refuseAll, broken, refuseBig}[i%3])
		s.look()
	}
	close(stop)
	judges.Wait()
}

func FuzzFile(f *testing.F) {
	for _, seed := range []string{refuseAll, refuseBig, broken, "rules: [{name: a, when: |\n  x\n}]", "rules: [{when: \"'\"}]", "a: &a [*a]", "rules:\n !0 #0"} {
		f.Add(seed)
	}
	c, err := newCompiler(Capabilities(), 1000)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		policy, err := c.compileFile("F", []byte(text))
		if (policy == nil) == (err == nil) {
			t.Errorf("got %v, %v", policy, err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "F:") {
			t.Errorf("the error names no file: %v", err)
		}
		if policy == nil {
			return
		}
		if d, err := policy.judge(&activation{env: envelope(), values: valuesOf(Capabilities())}); err == nil && d.Verdict == sdk.Undecided {
			t.Errorf("nothing was decided: %s", cmp.Diff(sdk.Decision{}, d))
		}
	})
}

package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/nearest"
)

func TestDecodeWith(t *testing.T) {
	t.Parallel()
	want := *defaultLimits().(*limitOptions)
	want.Send = Rate{5, time.Second}
	want.Deep.Names = []string{"ada"}

	// By hand, as a test of a stage would write it.
	link := Link{Stage: "rate-limit", With: map[string]any{
		"send": "5/s", "deep": map[string]any{"names": []string{"ada"}},
	}}
	got := defaultLimits()
	if err := DecodeWith(link, got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	// Typed values are as good as their texts.
	link.With["send"] = Rate{5, time.Second}
	link.With["idle"] = 10 * time.Minute
	got = defaultLimits()
	if err := DecodeWith(link, got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	// Nothing said leaves the defaults.
	got = defaultLimits()
	if err := DecodeWith(Link{}, got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(defaultLimits(), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestDecodeWithProblems(t *testing.T) {
	t.Parallel()
	got := defaultLimits()
	err := DecodeWith(Link{With: map[string]any{"sned": 1, "burst": "x", "idle": nil}}, got)
	want := `default: with.burst: must be a whole number, without quotes; got "x"
default: with.idle: has no value; give it one, or leave the line out
default: with.sned: unknown key; did you mean send? Allowed here: send, burst, key, idle, deep`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if diff := cmp.Diff(defaultLimits(), got); diff != "" {
		t.Errorf("a wrong link changed the options:\n%s", diff)
	}
	if err := DecodeWith(Link{Stage: "x"}, limitOptions{}); err == nil || !strings.Contains(err.Error(), "pointer to a struct") {
		t.Errorf("got %v", err)
	}
	if err := DecodeWith(Link{With: map[string]any{"a": 1}}, &struct{}{}); err == nil {
		t.Error("a stage without options took one")
	}
}

// The stage decodes again what Load has checked, and finds it in the file.
func TestDecodeWithAfterLoad(t *testing.T) {
	t.Parallel()
	l, err := Load(Options{Path: "f.yaml", File: []byte(`
pipeline:
  - stage: rate-limit
    with:
      burst: 2
      odd.name: 1
`)})
	if err != nil {
		t.Fatal(err)
	}
	err = DecodeWith(l.Config.Pipeline[0], defaultLimits())
	want := `f.yaml:6:7: pipeline[0].with."odd.name": unknown key; allowed here: send, burst, key, idle, deep`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestLinksAreEqualWhereverTheyStand(t *testing.T) {
	t.Parallel()
	load := func(file string) []Link {
		l, err := Load(Options{File: []byte(file)})
		if err != nil {
			t.Fatal(err)
		}
		return l.Config.Pipeline
	}
	a := load("pipeline:\n  - {stage: a, with: {x: 1}}\n  - {stage: b, with: {}}\n")
	b := load("# moved\npipeline:\n\n  - stage: b\n  - stage: a\n    with:\n      x: 1\n    enabled: true\n")
	if !a[0].Equal(b[1]) || !a[1].Equal(b[0]) {
		t.Error("the same links differ")
	}
	if a[0].Equal(a[1]) {
		t.Error("different links are equal")
	}
}

func TestParseRate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Rate{
		"5/s": {5, time.Second}, "60/min": {60, time.Minute}, "1000/h": {1000, time.Hour},
	} {
		got, err := ParseRate(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "5", "5/", "/s", "5/m", "-5/s", "+5/s", "5.5/s", "0/s", "5/s ", "5 / s", "99999999999/s", "5/min/s"} {
		if got, err := ParseRate(text); err == nil {
			t.Errorf("%q is taken as %v", text, got)
		}
	}
	if got := (Rate{120, time.Minute}).PerSecond(); got != 2 {
		t.Errorf("got %v a second", got)
	}
	if got := (Rate{}).PerSecond(); got != 0 {
		t.Errorf("the zero rate is %v a second", got)
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"listen", "limits", "ping_every", "mode"}
	for name, want := range map[string]string{
		"lisen": "listen", "limit": "limits", "pingevry": "ping_every", "Mode": "mode", "mdoe": "mode",
		"": "", "x": "", "zebra": "", strings.Repeat("x", 1<<20): "",
	} {
		if got := nearest.Of(name, names); got != want {
			t.Errorf("%.20q: got %q, want %q", name, got, want)
		}
	}
}

package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const withPlugins = `pipeline:
  - stage: auth
  - stage: office-hours
    plugin: {path: /opt/hours}
  - stage: watch
    plugin: {path: /opt/watch, role: observer}
  - stage: scan
    on_failure: fallback
    fallback: rate-limit
    fallback_with: {send: 5/s}
    plugin: {path: /opt/scan, restart: {crashes: 9}}
  - stage: route
`

func TestPluginDefaults(t *testing.T) {
	t.Parallel()
	l, err := Load(Options{File: []byte(withPlugins), Builtins: builtins()})
	if err != nil {
		t.Fatal(err)
	}
	plugin := func(path string, change func(*Plugin)) *Plugin {
		p := newPlugin()
		p.Path = path
		change(&p)
		return &p
	}
	link := func(stage string, onFailure, then OnFailure, p *Plugin) Link {
		return Link{
			Stage: stage, Name: stage, Enabled: true, Required: true,
			OnFailure: onFailure, Then: then, Deadline: pluginDeadline, Plugin: p,
		}
	}
	scan := link("scan", Fallback, "", plugin("/opt/scan", func(p *Plugin) { p.Restart.Crashes = 9 }))
	scan.Fallback, scan.FallbackWith = "rate-limit", map[string]any{"send": "5/s"}
	want := []Link{
		link("office-hours", Hold, FailClosed, plugin("/opt/hours", func(*Plugin) {})),
		link("watch", FailOpen, "", plugin("/opt/watch", func(p *Plugin) { p.Role = Observer })),
		scan,
	}
	got := l.Config.Pipeline[1:4]
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Link{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// What is printed shows a plugin's defaults, and reads as the same config.
func TestPluginDefaultsArePrinted(t *testing.T) {
	t.Parallel()
	l, err := Load(Options{File: []byte(withPlugins), Builtins: builtins()})
	if err != nil {
		t.Fatal(err)
	}
	text := string(l.YAML())
	for _, want := range []string{
		"    on_failure: hold  # default\n    then: fail_closed  # default\n    deadline: 100ms  # default\n    plugin:\n",
		"      in_flight: 1024  # default\n",
		"      restart:\n        first: 50ms  # default\n",
		"      breaker:\n        failures: 50  # default\n",
		"    on_failure: fail_open  # default\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
	again, err := Load(Options{File: []byte(text), Builtins: builtins()})
	if err != nil {
		t.Fatal(err)
	}
	for i, link := range again.Config.Pipeline {
		if !link.Equal(l.Config.Pipeline[i]) {
			t.Errorf("link %d reads as %+v", i, link)
		}
	}
}

func TestStandIn(t *testing.T) {
	t.Parallel()
	l, err := Load(Options{File: []byte(withPlugins), Builtins: builtins()})
	if err != nil {
		t.Fatal(err)
	}
	in, options := l.Config.Pipeline[3].StandIn(), defaultLimits().(*limitOptions)
	if err := DecodeWith(in, options); err != nil || in.Stage != "rate-limit" || in.Name != "rate-limit" || options.Send.Count != 5 {
		t.Errorf("got %+v, %+v, %v", in, options, err)
	}
	in.With = map[string]any{"sned": 1}
	if err := DecodeWith(in, options); err == nil || !strings.Contains(err.Error(), "pipeline[3].fallback_with.sned: unknown key") {
		t.Errorf("got %v", err)
	}
}

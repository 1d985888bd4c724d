package config_test

import (
	"testing"

	"github.com/claudemesh/broker/core/config"
)

func TestProblemOfALink(t *testing.T) {
	loaded, err := config.Load(config.Options{Path: "b.yaml", File: []byte(`insecure: true
pipeline:
  - stage: hours
    plugin:
      path: ./hours
    with:
      groups:
        - from: 9
`)})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"plugin.path":        "b.yaml:5:13: pipeline[0].plugin.path: no",
		"plugin.grants":      "b.yaml:5:7: pipeline[0].plugin.grants: no",
		"with.groups.0.from": "b.yaml:8:17: pipeline[0].with.groups[0].from: no",
		"with.open":          "b.yaml:7:7: pipeline[0].with.open: no",
	} {
		if got := loaded.Config.Pipeline[0].Problem(path, "no").Error(); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	if got := (config.Link{}).Problem("with.x", "no").Error(); got != "default: with.x: no" {
		t.Errorf("a link that was not loaded: %q", got)
	}
}

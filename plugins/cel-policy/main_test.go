package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/claudemesh/broker/plugins/cel-policy/celpolicy"
	"github.com/claudemesh/broker/sdk/plugin"
	"github.com/claudemesh/broker/sdk/sdktest"
)

// The links and the rules of the example are ones that the stages take.
func TestTheExampleIsGood(t *testing.T) {
	text, err := os.ReadFile("cel-policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var links []struct {
		Name   string
		Plugin struct{ Grants plugin.Grants }
		With   map[string]any
	}
	if err := yaml.Unmarshal(text, &links); err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		with, err := json.Marshal(link.With)
		if err != nil {
			t.Fatal(err)
		}
		o := celpolicy.Default()
		if err := json.Unmarshal(with, &o); err != nil {
			t.Fatal(err)
		}
		if o.File != "" {
			if o.File, err = filepath.Abs("rules.yaml"); err != nil {
				t.Fatal(err)
			}
		}
		stage, err := celpolicy.New(o)
		if err == nil {
			err = stage.Granted(link.Plugin.Grants)
		}
		if err != nil {
			t.Errorf("%s: %v", link.Name, err)
		}
	}
	if len(links) != 3 {
		t.Errorf("found %d links, want 3", len(links))
	}
}

func TestConformance(t *testing.T) { sdktest.Conformance(t, program()) }

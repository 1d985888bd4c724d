package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/claudemesh/broker/plugins/cel-policy/celpolicy"
	"github.com/claudemesh/broker/sdk/sdktest"
)

// The links and the rules of the example are ones that the stages take.
func TestTheExampleIsGood(t *testing.T) {
	text, err := os.ReadFile("cel-policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var links []struct {
		Stage string
		With  map[string]any
	}
	if err := yaml.Unmarshal(text, &links); err != nil {
		t.Fatal(err)
	}
	rights := map[string]celpolicy.Rights{
		"cel-policy": {}, "cel-policy-identity": {Identity: true, Attributes: true},
		"cel-policy-full": {Identity: true, Attributes: true, Priority: true, Drop: true, Hold: true},
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
		if _, err := celpolicy.NewWith(rights[link.Stage])(o); err != nil {
			t.Errorf("%s: %v", link.Stage, err)
		}
	}
	if len(links) != 3 || len(program().Stages) != 3 {
		t.Errorf("found %d links for %d stages, want 3 for 3", len(links), len(program().Stages))
	}
}

func TestConformance(t *testing.T) { sdktest.Conformance(t, program()) }

package main

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/claudemesh/broker/plugins/graph/graph"
	"github.com/claudemesh/broker/sdk/sdktest"
)

// The link of the example is one that the stage takes.
func TestTheExampleIsGood(t *testing.T) {
	text, err := os.ReadFile("graph.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var links []struct{ With map[string]any }
	if err := yaml.Unmarshal(text, &links); err != nil || len(links) != 1 {
		t.Fatalf("%d links, %v; want 1", len(links), err)
	}
	with, err := json.Marshal(links[0].With)
	if err != nil {
		t.Fatal(err)
	}
	o := graph.Default()
	if err := json.Unmarshal(with, &o); err != nil {
		t.Fatal(err)
	}
	if err := o.Validate(); err != nil || len(o.Meshes) != 2 {
		t.Errorf("%d meshes, %v", len(o.Meshes), err)
	}
}

func TestConformance(t *testing.T) { sdktest.Conformance(t, program()) }

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/claudemesh/broker/plugins/vector/vector"
	"github.com/claudemesh/broker/sdk/sdktest"
)

// The links of the example are ones that the stage takes.
func TestTheExampleIsGood(t *testing.T) {
	text, err := os.ReadFile("vector.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var links []struct{ With map[string]any }
	if err := yaml.Unmarshal(text, &links); err != nil || len(links) != 2 {
		t.Fatalf("%d links, %v; want 2", len(links), err)
	}
	for _, link := range links {
		with, err := json.Marshal(link.With)
		if err != nil {
			t.Fatal(err)
		}
		o := vector.Default()
		if err := json.Unmarshal(with, &o); err != nil {
			t.Fatal(err)
		}
		if err := o.Validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestConformance(t *testing.T) {
	dir, err := json.Marshal(filepath.Join(t.TempDir(), "documents"))
	if err != nil {
		t.Fatal(err)
	}
	sdktest.Conformance(t, program(), sdktest.StageOptions("vector", `{"dir":`+string(dir)+`}`))
}

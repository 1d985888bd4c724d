package main

import (
	"os"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/claudemesh/broker/plugins/office-hours/officehours"
	"github.com/claudemesh/broker/sdk/sdktest"
)

// The links of the example are ones that the stages take.
func TestTheExampleIsGood(t *testing.T) {
	text, err := os.ReadFile("office-hours.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var links []struct {
		Stage string
		With  officehours.Options
	}
	if err := yaml.UnmarshalWithOptions(text, &links, yaml.UseJSONUnmarshaler()); err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		newStage := officehours.New
		if link.Stage == "office-hours-groups" {
			newStage = officehours.NewForGroups
		}
		if link.With.Outside == "" {
			link.With.Outside = officehours.Hold
		}
		if _, err := newStage(link.With); err != nil {
			t.Errorf("%s: %v", link.Stage, err)
		}
	}
	if len(links) != 2 || len(program().Stages) != 2 {
		t.Errorf("found %d links for %d stages, want 2 for 2", len(links), len(program().Stages))
	}
}

func TestConformance(t *testing.T) { sdktest.Conformance(t, program()) }

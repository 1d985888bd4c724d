package main

import (
	"os"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/claudemesh/broker/plugins/office-hours/officehours"
	"github.com/claudemesh/broker/sdk/plugin"
	"github.com/claudemesh/broker/sdk/sdktest"
)

// The links of the example are ones that the stages take.
func TestTheExampleIsGood(t *testing.T) {
	text, err := os.ReadFile("office-hours.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var links []struct {
		Name   string
		Plugin struct{ Grants plugin.Grants }
		With   officehours.Options
	}
	if err := yaml.UnmarshalWithOptions(text, &links, yaml.UseJSONUnmarshaler()); err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if link.With.Outside == "" {
			link.With.Outside = officehours.Hold
		}
		stage, err := officehours.New(link.With)
		if err == nil {
			err = stage.Granted(link.Plugin.Grants)
		}
		if err != nil {
			t.Errorf("%s: %v", link.Name, err)
		}
	}
	if len(links) != 2 {
		t.Errorf("found %d links, want 2", len(links))
	}
}

func TestConformance(t *testing.T) { sdktest.Conformance(t, program()) }

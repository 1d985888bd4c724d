package main

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/claudemesh/broker/plugins/webhook-audit/webhookaudit"
	"github.com/claudemesh/broker/sdk/sdktest"
)

// The links of the example are ones that the observers take.
func TestTheExampleIsGood(t *testing.T) {
	t.Setenv("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	text, err := os.ReadFile("webhook-audit.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var links []struct {
		Name string
		With map[string]any
	}
	if err := yaml.Unmarshal(text, &links); err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		with, err := json.Marshal(link.With)
		if err != nil {
			t.Fatal(err)
		}
		o := webhookaudit.Default()
		if err := json.Unmarshal(with, &o); err != nil {
			t.Fatal(err)
		}
		if _, err := webhookaudit.New(o); err != nil {
			t.Errorf("%s: %v", link.Name, err)
		}
	}
	if len(links) != 2 {
		t.Errorf("found %d links, want 2", len(links))
	}
}

// The endpoint is away: nobody listens on port 1.
func TestConformance(t *testing.T) {
	t.Setenv("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	sdktest.Conformance(t, program(), sdktest.StageOptions("webhook-audit",
		`{"url":"http://127.0.0.1:1/","secret_env":"WEBHOOK_SECRET","spill_dir":"`+t.TempDir()+`"}`))
}

// Command webhook-audit is a plugin that posts to an HTTPS endpoint how
// envelopes ended. README.md says how to run it.
package main

import (
	"github.com/claudemesh/broker/plugins/webhook-audit/webhookaudit"
	"github.com/claudemesh/broker/sdk/plugin"
)

func main() { plugin.Serve(program()) }

func program() plugin.Plugin {
	example := webhookaudit.Default()
	example.URL, example.SecretEnv = "https://audit.example.com/broker", "WEBHOOK_SECRET"
	example.SpillDir = "/var/lib/broker/webhook-audit"
	return plugin.Plugin{
		Name: "webhook-audit", Version: webhookaudit.Version,
		Stages: []plugin.Stage{
			plugin.DefineObserver("webhook-audit", webhookaudit.Default(), webhookaudit.New,
				plugin.Summary("posts to an HTTPS endpoint how envelopes ended"),
				plugin.Wants(plugin.IdentityRead), plugin.Example(example)),
		},
	}
}

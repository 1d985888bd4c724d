// Command cel-policy is a plugin that judges envelopes by rules of the operator,
// written in CEL. README.md says how to run it.
package main

import (
	_ "time/tzdata" // zones for getHours and the like, also where the system has none

	"github.com/claudemesh/broker/plugins/cel-policy/celpolicy"
	"github.com/claudemesh/broker/sdk/plugin"
)

func main() { plugin.Serve(program()) }

func program() plugin.Plugin {
	example := celpolicy.Default()
	example.Rules = []celpolicy.Rule{{
		Name: "no-large-broadcasts", When: `message.target.kind == "broadcast" && message.size > 4096`,
		Then: celpolicy.Refuse, Reason: "broadcast_too_large", Text: "a broadcast has at most 4096 bytes",
	}}
	return plugin.Plugin{
		Name: "cel-policy", Version: "1.0.0",
		Stages: []plugin.Stage{
			plugin.Define("cel-policy", celpolicy.Default(), celpolicy.New,
				plugin.Summary("judges by rules in CEL; what they may look at and do is granted"),
				plugin.Wants(celpolicy.Capabilities()...), plugin.Idempotent(), plugin.Example(example)),
		},
	}
}

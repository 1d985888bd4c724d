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
		Then: celpolicy.Refuse, Reason: "too_large", Text: "a broadcast has at most 4096 bytes",
	}}
	define := func(name, summary string, rights celpolicy.Rights, needs ...plugin.Capability) plugin.Stage {
		return plugin.Define(name, celpolicy.Default(), celpolicy.NewWith(rights),
			plugin.Summary(summary), plugin.Needs(needs...), plugin.Idempotent(), plugin.Example(example))
	}
	identity := celpolicy.Rights{Identity: true, Attributes: true}
	full := celpolicy.Rights{Identity: true, Attributes: true, Priority: true, Drop: true, Hold: true}
	return plugin.Plugin{
		Name: "cel-policy", Version: "1.0.0",
		Stages: []plugin.Stage{
			define("cel-policy", "rules in CEL about metadata, which continue or refuse", celpolicy.Rights{}),
			define("cel-policy-identity", "rules that also know who sends to whom, and what stages noted", identity,
				plugin.IdentityRead, plugin.AttributesRead),
			define("cel-policy-full", "rules that may also drop, hold and change priorities", full,
				plugin.IdentityRead, plugin.AttributesRead, plugin.PriorityWrite, plugin.VerdictDrop, plugin.DeliveryHold),
		},
	}
}

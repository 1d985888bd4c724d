// Command office-hours is a plugin that holds messages back outside office
// hours, or refuses them. README.md says how to run it.
package main

import (
	_ "time/tzdata" // zones also where the system has none

	"github.com/claudemesh/broker/plugins/office-hours/officehours"
	"github.com/claudemesh/broker/sdk/plugin"
)

func main() { plugin.Serve(program()) }

func program() plugin.Plugin {
	return plugin.Plugin{
		Name: "office-hours", Version: "1.0.0",
		Stages: []plugin.Stage{
			plugin.Define("office-hours", officehours.Default(), officehours.New,
				plugin.Summary("holds or refuses what is not urgent outside office hours"),
				plugin.Needs(plugin.DeliveryHold), plugin.Wants(plugin.IdentityRead), plugin.Idempotent()),
		},
	}
}

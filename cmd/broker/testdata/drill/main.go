// Command drill is the plugin of the broker's drills: it does to itself what
// its options say.
package main

import (
	"context"
	"os"
	"time"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
)

type options struct {
	Sleep plugin.Duration `json:"sleep" doc:"how long each message takes"`
	Deny  bool            `json:"deny" doc:"refuse everything"`
	Die   string          `json:"die" doc:"while this file is there, the next message ends the process"`
	Note  string          `json:"note" doc:"tells one instance from another"`
}

type drill struct{ o options }

// Kinds limits the stage to messages.
func (drill) Kinds() []sdk.Kind { return []sdk.Kind{sdk.KindSend} }

// Handle judges one message.
func (d drill) Handle(context.Context, *sdk.Envelope) (sdk.Decision, error) {
	if d.o.Die != "" {
		if _, err := os.Stat(d.o.Die); err == nil {
			os.Exit(9)
		}
	}
	time.Sleep(time.Duration(d.o.Sleep))
	if d.o.Deny {
		return sdk.Refuse("drilled", "the drill refuses everything"), nil
	}
	return sdk.Next(), nil
}

func main() {
	plugin.Serve(plugin.Plugin{Name: "drill", Version: "1.0.0", Stages: []plugin.Stage{
		plugin.Define("drill", options{}, func(o options) (drill, error) { return drill{o}, nil }, plugin.Idempotent()),
	}})
}

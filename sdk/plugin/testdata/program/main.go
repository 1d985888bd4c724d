// Program is a plugin for a test that talks to a real process. It prints where
// a plugin must not, and ends without leave where a test asks for it.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
)

// Options are the word that is refused.
type Options struct {
	Word string `json:"word" doc:"message ids that are refused"`
}

// stage refuses one word.
type stage struct{ Options }

func newStage(o Options) (stage, error) { return stage{o}, nil }

// out is what a library may hold that was set up early.
var out = os.Stdout

// Handle refuses the word, and panics where it is told to.
func (s stage) Handle(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	fmt.Println("printed to standard output")
	fmt.Fprintln(out, "printed to the old standard output")
	slog.InfoContext(ctx, "judged", slog.Group("envelope", slog.String("id", env.MessageID)))
	switch env.MessageID {
	case s.Word:
		return sdk.Refuse("word", "not that word"), nil
	case "panic":
		panic("as told")
	}
	return sdk.Next(), nil
}

func (stage) Stop(context.Context) error {
	fmt.Fprintln(os.Stderr, "stopped in order")
	return nil
}

func main() {
	before := slog.Default()
	go func() {
		for slog.Default() == before {
			runtime.Gosched() // until Serve guards standard output
		}
		for range 100 {
			fmt.Println("printed while the broker waits for the first line")
		}
	}()
	plugin.Serve(plugin.Plugin{
		Name: "program", Version: "0.1.0",
		Stages: []plugin.Stage{plugin.Define("word", Options{Word: "no"}, newStage, plugin.Summary("refuses one word"))},
	})
}

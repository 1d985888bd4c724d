package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/nearest"
	"github.com/claudemesh/broker/sdk/plugin"
)

func (p *program) stageCommand() *cobra.Command {
	c := group(&cobra.Command{
		Use: "stage", Short: "Serve built-in stages as plugins",
		Example: "  broker stage serve rate-limit   as the plugin of a link",
	}, p.stageServeCommand())
	c.Hidden = true // for who moves a stage out of the process, not for every day
	return c
}

func (p *program) stageServeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve NAME",
		Short: "Be the plugin that a built-in stage is",
		Long: `Serves a built-in stage as a plugin, from this same program, so that it has a process of
its own and can be killed, limited or replaced alone:

  - stage: rate-limit
    plugin: {path: /usr/local/bin/broker, args: [stage, serve, rate-limit]}
    with: {send: 60/min, burst: 10}

Stages that can be served:
  rate-limit   with the options of the built-in one; its buckets are lost with the process
  no-op        lets everything pass, to measure what a plugin costs

The others cannot: ` + keptNames() + ` work with state that only the broker has.`,
		Example: "  broker plugin validate /usr/local/bin/broker stage serve rate-limit",
		Args:    takes("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			served, err := servedStage(args[0])
			if err != nil {
				return err
			}
			plugin.Serve(served) // does not return
			return nil
		},
	}
}

// servedStage returns the program that a built-in stage is, or why it is none.
func servedStage(name string) (plugin.Plugin, error) {
	stages := served()
	make, ok := stages[name]
	if ok {
		return plugin.Plugin{Name: name, Version: servedVersion, Stages: []plugin.Stage{make()}}, nil
	}
	can := slices.Sorted(maps.Keys(stages))
	if why, ok := kept()[name]; ok {
		return plugin.Plugin{}, fmt.Errorf("the stage %s cannot be a plugin, since %s; these can: %s", name, why, strings.Join(can, ", "))
	}
	text := fmt.Sprintf("there is no built-in stage %s; these can be served: %s", quoted(name), strings.Join(can, ", "))
	if near := nearest.Of(name, can); near != "" {
		text += "; did you mean " + near + "?"
	}
	return plugin.Plugin{}, usageError{text}
}

// servedVersion is the version of the stages that are served: they have none of
// their own that is a semantic one.
const servedVersion = "1.0.0"

// kept says why the other built-in stages stay in the broker.
func kept() map[string]string {
	return map[string]string{
		"auth":        "it knows the keys of members and which sessions are connected",
		"legacy-auth": "it stands for callers that only the broker's HTTP door knows",
		"grants":      "it reads who allows whom from the broker's roster",
		"route":       "it does the work itself, on the broker's queue and connections",
		"audit":       "its records are committed together with the envelope's effects",
	}
}

func keptNames() string {
	return strings.Join(slices.Sorted(maps.Keys(kept())), ", ")
}

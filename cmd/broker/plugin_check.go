package main

import (
	"context"
	"errors"
	"time"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost"
)

// probeTime is how long a plugin may take, once it runs, to say what it is, to
// judge its options and to end.
const probeTime = 20 * time.Second

// checkPlugins starts the program of each enabled link with a plugin, asks it
// about the link, and ends it. The error is a [config.Problems].
func checkPlugins(ctx context.Context, c config.Config) error {
	h, err := newPluginHost()
	if err != nil {
		return err
	}
	var problems config.Problems
	for _, link := range c.Pipeline {
		if link.Plugin == nil || !link.Enabled {
			continue
		}
		if err := tryPlugin(ctx, h, link); err != nil {
			problems = append(problems, problemsOf(link, err)...)
		}
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// oneLine is an error as an operator reads it.
func oneLine(err error) string {
	_, line := admin.Explain(err)
	return printable(line)
}

// problemsOf puts what a plugin or its start said where it belongs in the file.
func problemsOf(link config.Link, err error) (problems config.Problems) {
	options, ok := errors.AsType[*pluginhost.OptionsError](err)
	if !ok {
		return config.Problems{link.Problem("plugin", oneLine(err))}
	}
	for _, d := range options.Diagnostics {
		key := "with"
		if d.Path != "" {
			key += "." + d.Path
		}
		problems = append(problems, link.Problem(key, printable(d.Message)))
	}
	return problems
}

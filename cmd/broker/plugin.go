package main

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/pluginhost"
)

func (p *program) pluginCommand() *cobra.Command {
	return group(&cobra.Command{
		Use: "plugin", Short: "Run, check and write plugins",
		Long: `Plugins are programs that the broker starts and asks, as stages of its chain. The first
four commands are for who runs them, the others for who writes them.`,
		Example: "  broker plugin list\n  broker plugin validate ./bin/office-hours",
	},
		p.pluginListCommand(), p.pluginStatusCommand(), p.pluginResumeCommand(), p.pluginPinCommand(),
		p.pluginNewCommand(), p.pluginValidateCommand(), p.pluginBenchCommand(),
	)
}

// newPluginHost returns a host for a command, which starts plugins beside those
// of a broker that may run.
func newPluginHost() (*pluginhost.Host, error) {
	return pluginhost.New(pluginhost.Options{
		Version: programVersion(), Log: slog.New(slog.DiscardHandler), Taken: feature.All(feature.Deps{}).Taken,
	})
}

// plugins returns the links that have a plugin, as they are while no broker
// runs.
func plugins(c config.Config) []pluginhost.Status {
	list := []pluginhost.Status{}
	for _, link := range c.Pipeline {
		if link.Plugin == nil {
			continue
		}
		l := link.Plugin
		phase := "not running"
		if !link.Enabled {
			phase = "disabled"
		}
		stage := l.Stage
		if stage == "" {
			stage = link.Stage
		}
		list = append(list, pluginhost.Status{
			Link: link.Name, Path: l.Path, SHA256: l.SHA256, Pinned: l.SHA256 != "",
			Stage: stage, Role: string(l.Role), Grants: l.Grants, Phase: phase,
		})
	}
	return list
}

// tryPlugin starts a link's program, asks it whether it suits the link, and ends it.
func tryPlugin(ctx context.Context, h *pluginhost.Host, link config.Link) error {
	ctx, cancel := context.WithTimeout(ctx, link.Plugin.StartTimeout+probeTime)
	defer cancel()
	_, err := h.Probe(ctx, link)
	return err
}

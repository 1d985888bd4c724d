package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/stages"
)

func (p *program) configCommand() *cobra.Command {
	return group(&cobra.Command{
		Use: "config", Short: "Check, print and explain the configuration",
		Example: "  broker config check --config broker.yaml",
	}, p.configCheckCommand(), p.configPrintCommand(), p.configReferenceCommand())
}

func (p *program) configCheckCommand() *cobra.Command {
	var noPlugins bool
	c := &cobra.Command{
		Use:   "check",
		Short: "Say whether the broker would start with this configuration",
		Long: `Reads file, environment and flags as serve does, and builds the chain without starting
it. The program of each enabled link with a plugin is started beside a broker that may
run, asked whether the link's options suit it, and ended. Everything that is wrong is
listed, with its place.`,
		Example: "  broker config check --config broker.yaml\n  broker config check --config broker.yaml --no-plugins",
		Args:    takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			loaded, err := p.load()
			if err != nil {
				return err
			}
			if _, err := describe(loaded.Config); err != nil {
				for line := range strings.Lines(err.Error()) {
					fmt.Fprintln(p.err, "broker: config:", strings.TrimSpace(line))
				}
				return errSaid
			}
			if !noPlugins {
				if err := checkPlugins(c.Context(), loaded.Config); err != nil {
					return err
				}
			}
			for _, w := range loaded.Warnings {
				fmt.Fprintln(p.err, "warning:", w)
			}
			what := "the defaults and the environment are"
			if loaded.File != "" {
				what = loaded.File + " is"
			}
			fmt.Fprintln(p.out, what, "good")
			return nil
		},
	}
	c.Flags().BoolVar(&noPlugins, "no-plugins", false, "start no plugin")
	return c
}

func (p *program) configPrintCommand() *cobra.Command {
	var changed bool
	c := &cobra.Command{
		Use:     "print",
		Short:   "Print the effective configuration, and where each value comes from",
		Long:    "Prints the configuration in the form of the file, secrets masked, with a comment behind\neach value that says where it was set.",
		Example: "  broker config print --config broker.yaml --changed",
		Args:    takes(),
		RunE: func(*cobra.Command, []string) error {
			loaded, err := p.load()
			if err != nil {
				return err
			}
			text := loaded.YAML()
			if changed {
				text = loaded.Changed()
			}
			_, err = p.out.Write(text)
			return err
		},
	}
	c.Flags().BoolVar(&changed, "changed", false, "only what is not at its default")
	return c
}

func (p *program) configReferenceCommand() *cobra.Command {
	return &cobra.Command{
		Use: "reference", Short: "Print the manual of the configuration, as Markdown",
		Example: "  broker config reference > reference.md", Args: takes(),
		RunE: func(*cobra.Command, []string) error {
			_, err := p.out.Write(config.Reference(stages.Builtins(stages.All(stages.Deps{}))))
			return err
		},
	}
}

package main

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/control"
	"github.com/claudemesh/broker/core/pluginhost"
)

func (p *program) pluginListCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the links that run plugins",
		Long: `Lists the links of the running broker's chains that run plugins, or, when none runs,
those that the configuration names.`,
		Example: "  broker plugin list\n  broker plugin list --json",
		Args:    takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			return p.withBroker(c.Context(), func(s *control.Session) error {
				list, err := s.ListPlugins(c.Context())
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(list)
				}
				return p.printPlugins(list, s.Running != nil)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (p *program) printPlugins(list []pluginhost.Status, running bool) error {
	if len(list) == 0 {
		where := "the configuration"
		if running {
			where = "the running chain"
		}
		_, err := fmt.Fprintf(p.out, "no link of %s has a plugin; broker plugin new makes one\n", where)
		return err
	}
	var rows [][]string
	for _, s := range list {
		rows = append(rows, []string{
			s.Link, s.Stage, cmp.Or(s.Name, "-"), cmp.Or(s.Version, "-"), s.Phase, strconv.FormatUint(restarts(s), 10),
			pinned(s), firstLine(s.Down),
		})
	}
	return table(p.out, "LINK STAGE PLUGIN VERSION PHASE RESTARTS PINNED WHY", rows)
}

// restarts is how often the plugin ended without being asked to.
func restarts(s pluginhost.Status) (n uint64) {
	for _, times := range s.Restarts {
		n += uint64(times)
	}
	return n
}

func pinned(s pluginhost.Status) string {
	if s.Pinned {
		return "yes"
	}
	return "no"
}

// firstLine is what fits into a list of a text that a plugin may have written.
func firstLine(text string) string {
	const most = 80 // characters
	line, _, _ := strings.Cut(text, "\n")
	if r := []rune(line); len(r) > most {
		line = string(r[:most]) + "…"
	}
	return printable(line)
}

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/control"
)

func (p *program) chainCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "chain",
		Short: "Print the chain, stage by stage",
		Long: `Prints the chain of the running broker with its counters, or, when none runs, the one
that the configuration would run: each stage with what it sees and what happens when it
fails, and which stages an envelope of each kind visits.`,
		Example: "  broker chain\n  broker chain --config broker.yaml --json",
		Args:    takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			return p.withBroker(c.Context(), func(s *control.Session) error {
				d, err := s.Chain(c.Context())
				if err != nil {
					return err
				}
				if asJSON {
					text := *d
					text.Text = ""
					return p.json(text)
				}
				if s.Running != nil {
					fmt.Fprintf(p.out, "running in process %d on %s\n", s.Running.PID, s.Running.URL)
					p.printLoaded(d.Loaded)
					fmt.Fprintln(p.out)
				} else {
					fmt.Fprint(p.out, "no broker runs; this is what the configuration would run\n\n")
				}
				fmt.Fprint(p.out, d.Text)
				return nil
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// printLoaded says which config the chain was made of; l is nil where an older
// broker answers.
func (p *program) printLoaded(l *admin.Loaded) {
	if l == nil {
		return
	}
	fmt.Fprintf(p.out, "generation %d, loaded %s by %s", l.Generation, at(l.At), l.By)
	if l.SHA256 != "" {
		fmt.Fprintf(p.out, " from a file with sha256 %s", l.SHA256)
	}
	fmt.Fprintln(p.out)
	if e := l.LastError; e != nil {
		fmt.Fprintf(p.out, "last reload, %s by %s, was refused: %s\n", at(e.At), e.By, printable(e.Text))
	}
}

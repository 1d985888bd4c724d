package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/control"
)

func (p *program) logCommand() *cobra.Command {
	return group(&cobra.Command{
		Use: "log", Short: "Say what a running broker logs",
		Example: "  broker log level debug --for 10m",
	}, p.logLevelCommand())
}

func (p *program) logLevelCommand() *cobra.Command {
	var while time.Duration
	var asJSON bool
	c := &cobra.Command{
		Use:   "level [debug|info|warn|error]",
		Short: "Show or change from which level on a running broker logs",
		Long: `Shows from which level on the broker that runs writes lines to its log, or changes it at
once, without a restart and without closing a connection. With --for it goes back by
itself. A restart takes log.level of the config again; broker reload does not.`,
		Example: "  broker log level\n  broker log level debug --for 10m",
		Args:    takes("[debug|info|warn|error]"),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 && while != 0 {
				return usage(c, "--for needs a level, as broker log level debug --for 10m")
			}
			if c.Flags().Changed("for") && while <= 0 {
				return usage(c, "--for must be above 0, such as 10m")
			}
			return p.withBroker(c.Context(), func(s *control.Session) error {
				l, err := s.LogLevel(c.Context())
				if err == nil && len(args) > 0 {
					l, err = s.SetLogLevel(c.Context(), admin.LogLevelOptions{Level: config.Level(args[0]), For: while})
				}
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(l)
				}
				p.printLevel(l)
				return nil
			})
		},
	}
	c.Flags().DurationVar(&while, "for", 0, "how long the level holds, up to 7 days (default: until it is changed again, or the broker ends)")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (p *program) printLevel(l *admin.LogLevel) {
	switch {
	case !l.Until.IsZero():
		fmt.Fprintf(p.out, "%s until %s, then %s\n", l.Level, at(l.Until), l.Then)
	case l.Level != l.Configured:
		fmt.Fprintf(p.out, "%s until it is changed or the broker ends; log.level is %s\n", l.Level, l.Configured)
	default:
		fmt.Fprintln(p.out, l.Level)
	}
}

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/control"
)

func (p *program) reloadCommand() *cobra.Command {
	var o admin.ReloadOptions
	c := &cobra.Command{
		Use:   "reload",
		Short: "Have the running broker read its config again and swap its chain",
		Long: `Has the running broker read its config again, from the file, environment and flags that
it was started with, check it, and swap its chain. No connection is closed. A config that
is wrong, or whose chain does not start, changes nothing. SIGHUP does the same, and so does
the broker by itself when the content of the file changes, unless reload.watch is false.
broker chain says which generation runs, and why the newest load was refused.`,
		Example: "  broker reload --dry-run         what would change?\n" +
			"  broker reload --wait            return when the last envelope has left the old chain",
		Args: takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			return p.withBroker(c.Context(), func(s *control.Session) error {
				r, err := s.Reload(c.Context(), o)
				if err != nil {
					return err
				}
				p.printReload(r, o)
				return nil
			})
		},
	}
	c.Flags().BoolVar(&o.DryRun, "dry-run", false, "check the config and say what would change")
	c.Flags().BoolVar(&o.Wait, "wait", false, "return when the old chain has ended, not when the new one runs")
	return c
}

func (p *program) printReload(r *admin.Reload, o admin.ReloadOptions) {
	for _, line := range r.Changes {
		fmt.Fprintln(p.out, line)
	}
	for _, key := range r.Restart {
		fmt.Fprintf(p.out, "%s: changed, and needs a restart\n", key)
	}
	switch {
	case o.DryRun:
		fmt.Fprintf(p.out, "the config is good; %d link(s) would change\n", len(r.Changes))
	case r.Drained:
		fmt.Fprintf(p.out, "generation %d runs, the old chain has ended; %d link(s) changed\n", r.Generation, len(r.Changes))
	default:
		fmt.Fprintf(p.out, "generation %d runs; %d link(s) changed\n", r.Generation, len(r.Changes))
	}
}

// reload starts what reads the config again until ctx ends: at each SIGHUP, when
// a file changes, and for the command. The function that it returns waits for
// the end of that.
func (b *broker) reload(ctx context.Context) (wait func()) {
	var tasks sync.WaitGroup
	tasks.Go(func() { b.reloads.Run(ctx) })
	tasks.Go(func() { b.reloads.Watch(ctx) })
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	tasks.Go(func() {
		defer signal.Stop(hangups)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
				b.reloads.Trigger(admin.BySignal)
			}
		}
	})
	return tasks.Wait
}

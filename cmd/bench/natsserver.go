package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/spf13/cobra"
)

// newNATSCommand returns the command of a NATS server, so that the bus over NATS
// can be measured where none is installed.
func newNATSCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "nats",
		Short:   "Serves NATS on a free port, for the bus between replicas",
		Example: "  bench nats",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return runNATS(c.Context(), func(url string) { fmt.Fprintln(c.OutOrStdout(), readyPrefix+url) })
		},
	}
}

// runNATS serves until ctx ends.
func runNATS(ctx context.Context, ready func(url string)) error {
	s, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoLog: true, NoSigs: true})
	if err != nil {
		return fmt.Errorf("nats: %w", err)
	}
	go s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	const patience = 10 * time.Second
	if !s.ReadyForConnections(patience) {
		return errors.New("nats: the server does not start")
	}
	ready(s.ClientURL())
	<-ctx.Done()
	return nil
}

// Command bench measures the broker against a bare relay, on one machine.
//
// Speeds of a machine differ from hour to hour, so only ratios count: each run
// measures the relay and the broker one after the other, with the same load
// from the same generator, and the report gives the median of the ratios.
//
//	bench run     starts servers, puts load on them, reports
//	bench relay   the yardstick: hands frames on, and nothing else
//	bench serve   the broker in a process that can be profiled
//	bench nats    a NATS server, for brokers that use it as their bus
//	bench sink    a receiver of spans, which drops them
//
// Server and generator are child processes, each on a core of its own. The
// generator (bench load) gets a task on its standard input and answers with
// results on its standard output.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(start(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// start runs one command and returns the exit code.
func start(args []string, in io.Reader, out, errs io.Writer) int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(errs, "bench:", err)
		return 1
	}
	return 0
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "bench",
		Short:         "Measures the broker against a bare relay",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(newRunCommand(), newRelayCommand(), newServeCommand(), newNATSCommand(), newSinkCommand(), newLoadCommand(), newPinCommand())
	return root
}

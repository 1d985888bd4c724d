// Command broker is the message broker, and everything that its operator and a
// peer in a terminal need: broker --help lists it.
//
// main.go and root.go hold what all commands share, wire.go puts the broker
// together, and each other file is one group of commands.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // the zones of schedules, for machines that have none
)

// Set by the linker, see the Makefile; empty in a program built without it.
var version, gitSHA string

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals // the first one stops gracefully
		cancel()
		<-signals
		fmt.Fprintln(os.Stderr, "broker: ended by a second signal")
		os.Exit(exitFailed)
	}()
	os.Exit(run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}, os.Environ()))
}

// streams are the process's own, or a test's.
type streams struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// run runs one command and returns the exit code.
func run(ctx context.Context, args []string, s streams, environ []string) int {
	p := &program{streams: s, environ: environ}
	root := p.root() //nolint:contextcheck // commands take the one of ExecuteContext
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	return p.exit(root.ExecuteContext(ctx))
}

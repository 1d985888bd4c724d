package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
)

// anyCPU is the core of a process that may run on all of them.
const anyCPU = -1

// newPinCommand returns the command that becomes another program, on one core.
// The program sees no other core, so a Go program runs one thread of its own
// code at a time.
func newPinCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "pin CPU PROGRAM [ARGUMENT...]",
		Short:              "Runs a program on one core",
		Hidden:             true,
		DisableFlagParsing: true,
		Args:               cobra.MinimumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			cpu, err := strconv.Atoi(args[0])
			if err != nil {
				return fmt.Errorf("pin: %q is no number of a core", args[0])
			}
			return pin(cpu, args[1:])
		},
	}
}

// pinned returns the command line that runs argv on one core. self is this
// program.
func pinned(self string, cpu int, argv []string) []string {
	if cpu == anyCPU {
		return argv
	}
	return append([]string{self, "pin", strconv.Itoa(cpu)}, argv...)
}

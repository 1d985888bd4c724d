package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/config"
)

// program is what one run of the command line knows: no command reads the
// environment or the standard streams but through it.
type program struct {
	streams
	environ  []string
	settings settings
}

// root makes all commands.
func (p *program) root() *cobra.Command {
	serve := p.serveCommand()
	root := &cobra.Command{
		Use:   "broker",
		Short: "A message broker for AI coding sessions",
		Long: `A message broker for AI coding sessions. Without a command it serves: on a fresh
data directory it makes a first mesh and prints an invite and what to type next.

Commands that look at or change a broker go through the control socket of the
one that runs on the same data directory, and to its store when none runs.`,
		Example: "  broker                          serve on 127.0.0.1:7900\n" +
			"  broker demo                     watch two peers talk through the chain\n" +
			"  broker invite create home       let one more peer join",
		Args:          noCommand,
		RunE:          serve.RunE,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage(c, err.Error()) })
	p.settings.addTo(root.PersistentFlags())
	root.Flags().AddFlagSet(serve.Flags())
	root.AddCommand(
		serve, p.demoCommand(),
		p.meshCommand(), p.memberCommand(), p.inviteCommand(), p.peerCommand(), p.sessionCommand(), p.accountCommand(),
		p.configCommand(), p.chainCommand(), p.reloadCommand(), p.pluginCommand(), p.auditCommand(), p.migrateCommand(),
		p.consoleCommand(), p.doctorCommand(), p.refusalsCommand(), p.logCommand(), p.healthCommand(), p.versionCommand(), p.stageCommand(),
	)
	return root
}

// usageError is a command line that cannot be understood.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

// usage refuses a command line and says where the help is.
func usage(c *cobra.Command, text string) error {
	return usageError{text + " (see " + c.CommandPath() + " --help)"}
}

// noCommand refuses words that are no command.
func noCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	c.SuggestionsMinimumDistance = 2 // edits
	text := fmt.Sprintf("%s knows no command %q", c.CommandPath(), args[0])
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		text += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return usage(c, text)
}

// takes wants these arguments, and names them when they are not there. A name
// that ends in "..." stands for one or more, and names in brackets, at the end,
// need not be given.
func takes(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		more := len(names) > 0 && strings.HasSuffix(names[len(names)-1], "...")
		needed := len(names)
		for needed > 0 && strings.HasPrefix(names[needed-1], "[") {
			needed--
		}
		switch {
		case len(args) < needed:
			return usage(c, c.CommandPath()+" needs "+strings.Join(names[len(args):needed], " "))
		case len(args) > len(names) && !more:
			return usage(c, fmt.Sprintf("%s takes nothing more than %d argument(s): %q is too much", c.CommandPath(), len(names), args[len(names)]))
		}
		return nil
	}
}

// group is a command that only has others below it.
func group(c *cobra.Command, below ...*cobra.Command) *cobra.Command {
	c.Args = noCommand
	c.RunE = func(c *cobra.Command, _ []string) error {
		var names []string
		for _, b := range below {
			names = append(names, b.Name())
		}
		return usage(c, c.CommandPath()+" needs one of: "+strings.Join(names, ", "))
	}
	c.AddCommand(below...)
	return c
}

// exit says what went wrong, and returns the code to exit with.
func (p *program) exit(err error) int {
	var wrongUse usageError
	var problems config.Problems
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &wrongUse):
		fmt.Fprintln(p.err, "broker:", err)
		return exitUsage
	case errors.Is(err, errSaid):
	case errors.As(err, &problems):
		for _, problem := range problems {
			fmt.Fprintln(p.err, "broker: config:", problem)
		}
	default:
		_, line := admin.Explain(err)
		fmt.Fprintln(p.err, "broker:", line)
	}
	return exitFailed
}

// errSaid fails a command that has printed already what is to be said.
var errSaid = errors.New("failed")

// json prints a value for other programs.
func (p *program) json(v any) error { return writeJSON(p.out, v, "  ") }

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/control"
)

func (p *program) accountCommand() *cobra.Command {
	return group(&cobra.Command{
		Use: "account", Short: "List accounts, and say what they may do",
		Example: "  broker account own home ada",
	}, p.accountListCommand(), p.accountEnableCommand(false), p.accountEnableCommand(true), p.accountLegacyCommand(), p.accountOwnCommand())
}

func (p *program) accountListCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List accounts", Example: "  broker account list --json", Args: takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			return p.withPlace(c.Context(), toRead, func(s *control.Session) error {
				list, err := s.ListAccounts(c.Context())
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(list)
				}
				var rows [][]string
				for _, a := range list {
					rows = append(rows, []string{
						a.ID, printable(a.Name), printable(a.Email), at(a.CreatedAt), at(a.DisabledAt), onOff(a.Legacy),
					})
				}
				return table(p.out, "ACCOUNT NAME EMAIL CREATED DISABLED LEGACY", rows)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// accountEnableCommand makes the command that enables an account, and the one
// that disables it.
func (p *program) accountEnableCommand(enable bool) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "disable USER", Short: "Refuse an account's tokens, old and new",
		Long: `Disables an account: its tokens are refused from now on, it gets no new ones, and
legacy-auth does not take its id. Members that belong to it can still connect, with
their own keys: see broker member revoke.`,
		Example: "  broker account disable ada",
		Args:    takes("USER"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withAccount(c, asJSON, func(s *control.Session) (*admin.Account, error) {
				return s.SetAccountEnabled(c.Context(), args[0], enable)
			})
		},
	}
	if enable {
		c.Use, c.Short = "enable USER", "Let a disabled account sign in again"
		c.Long = "Ends what broker account disable began. Tokens that have not expired are good again."
		c.Example = "  broker account enable ada"
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (p *program) accountLegacyCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "legacy USER on|off",
		Short: "Say whether legacy-auth may take an account's id for a proof",
		Long: `With the stage legacy-auth, whoever knows an account's id can act as this account on
some routes. off bars the account from that, whatever the pipeline says.`,
		Example: "  broker account legacy ada off",
		Args:    takes("USER", "on|off"),
		RunE: func(c *cobra.Command, args []string) error {
			if args[1] != "on" && args[1] != "off" {
				return usage(c, "want on or off, got "+quoted(args[1]))
			}
			return p.withAccount(c, asJSON, func(s *control.Session) (*admin.Account, error) {
				return s.SetAccountLegacy(c.Context(), args[0], args[1] == "on")
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (p *program) accountOwnCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "own MESH USER",
		Short: "Make an account the owner of a mesh",
		Long: `Makes an account the owner of a mesh, in place of the one before it. The owner may do
everything in the mesh over HTTP: invite, change members, delete it.`,
		Example: "  broker account own home ada", Args: takes("MESH", "USER"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withPlace(c.Context(), toRead, func(s *control.Session) error {
				o, err := s.SetMeshOwner(c.Context(), args[0], args[1])
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(o)
				}
				before := ""
				if o.Before != "" && o.Before != o.Account {
					before = ", and no more " + o.Before + "'s"
				}
				fmt.Fprintf(p.out, "mesh %s is %s's%s\n", o.Slug, o.Account, before)
				return nil
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// withAccount changes an account and prints how it is then.
func (p *program) withAccount(c *cobra.Command, asJSON bool, change func(*control.Session) (*admin.Account, error)) error {
	return p.withPlace(c.Context(), toRead, func(s *control.Session) error {
		a, err := change(s)
		if err != nil {
			return err
		}
		if asJSON {
			return p.json(a)
		}
		state := "enabled"
		if !a.DisabledAt.IsZero() {
			state = "disabled since " + at(a.DisabledAt)
		}
		fmt.Fprintf(p.out, "account %s: %s, legacy-auth %s\n", a.ID, state, onOff(a.Legacy))
		return nil
	})
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

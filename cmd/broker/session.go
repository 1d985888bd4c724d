package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/control"
)

func (p *program) sessionCommand() *cobra.Command {
	return group(&cobra.Command{
		Use: "session", Short: "Sign command lines in: make, list and revoke their tokens",
		Example: "  broker session create ada",
	}, p.sessionCreateCommand(), p.sessionListCommand(), p.sessionRevokeCommand(), p.sessionApproveCommand())
}

func (p *program) sessionCreateCommand() *cobra.Command {
	var o admin.TokenOptions
	var asJSON bool
	var ttl days
	c := &cobra.Command{
		Use:   "create USER",
		Short: "Make a bearer token and a one-time code for an account",
		Long: `Makes a bearer token of the account USER, with which a command line can make meshes and
invites and change grants over HTTP, and a one-time code, good for 10 minutes, that the
sign-in page takes in its place. An account that does not exist is made. Token and code
are shown this once: hand them on as secrets.`,
		Example: "  broker session create ada --email ada@example.org --name \"Ada L.\"\n  broker session create ci --ttl 1d --json",
		Args:    takes("USER"),
		RunE: func(c *cobra.Command, args []string) error {
			o.TTL = time.Duration(ttl)
			if c.Flags().Changed("ttl") && ttl == 0 {
				return usage(c, "--ttl must be more than 0")
			}
			return p.withPlace(c.Context(), p.toSignOrMake(), func(s *control.Session) error {
				n, err := s.CreateToken(c.Context(), args[0], o)
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(n)
				}
				p.printNewToken(n)
				return nil
			})
		},
	}
	c.Flags().StringVar(&o.Email, "email", "", "e-mail address of the account, kept when left out")
	c.Flags().StringVar(&o.Name, "name", "", "name of the account, kept when left out; for a new one: USER")
	c.Flags().Var(&ttl, "ttl", "how long the token is good, as 30d, 12h or 30m (default: the config's http.token_ttl)")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// printNewToken prints a token and a code, and says what each is for.
func (p *program) printNewToken(n *admin.NewToken) {
	made := ""
	if n.Created {
		made = " (new)"
	}
	fmt.Fprintf(p.out, "account  %s%s\nid       %s\ntoken    %s\nexpires  %s\ncode     %s\n         until %s\n",
		n.Account.ID, made, n.ID, n.Token, at(n.ExpiresAt), n.Code, at(n.CodeExpiresAt))
	approve, paste := "the page that the command line opens", "the page /token of the broker"
	if n.ApproveURL != "" {
		approve, paste = n.ApproveURL, n.TokenURL
	}
	fmt.Fprintf(p.out, `
With the token: paste it where a command line asks for one, or send it as
  Authorization: Bearer TOKEN
With the code, once: type it into %s
to approve a command line that waits, or into
  %s
to get another token to paste.
`, approve, paste)
	if n.Meshes == 0 {
		fmt.Fprintf(p.out, "%s has no mesh yet: broker mesh create NAME --owner %[1]s makes one, broker account own MESH %[1]s hands one over\n",
			n.Account.ID)
	}
}

func (p *program) sessionListCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "list [USER]", Short: "List the good tokens, of one account or of all",
		Example: "  broker session list\n  broker session list ada --json", Args: takes("[USER]"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withPlace(c.Context(), toRead, func(s *control.Session) error {
				list, err := s.ListTokens(c.Context(), optional(args, 0))
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(list)
				}
				var rows [][]string
				for _, t := range list {
					rows = append(rows, []string{
						t.Account, t.Kind, printable(t.Hostname), at(t.CreatedAt), at(t.ExpiresAt), at(t.LastSeenAt), t.ID,
					})
				}
				return table(p.out, "ACCOUNT KIND HOST CREATED EXPIRES USED ID", rows)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (p *program) sessionRevokeCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "revoke ID",
		Short: "End a token at once",
		Long: `Ends a token: the next request that comes with it is refused. Sockets stay open, since
members sign for those with their own keys: see broker member revoke.`,
		Example: "  broker session revoke 01JZ3K5TT4S8V0R2N7E1Q9XWBA", Args: takes("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withPlace(c.Context(), toRead, func(s *control.Session) error {
				if err := s.RevokeToken(c.Context(), args[0]); err != nil {
					return err
				}
				if asJSON {
					return p.json(map[string]string{"revoked": args[0]})
				}
				fmt.Fprintf(p.out, "revoked %s\n", args[0])
				return nil
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (p *program) sessionApproveCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "approve CODE [USER]",
		Short: "Sign in the command line that shows a code",
		Long: `Approves the sign-in of a command line that waits and shows CODE, as the account USER,
which may be left out when there is only one. What the machine is called is its own
word: approve codes that you were told by somebody you know.`,
		Example: "  broker session approve ABCD-2345\n  broker session approve ABCD-2345 ada", Args: takes("CODE", "[USER]"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withPlace(c.Context(), toRead, func(s *control.Session) error {
				a, err := s.ApproveSignIn(c.Context(), args[0], optional(args, 1))
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(a)
				}
				fmt.Fprintf(p.out, "approved %s as %s: %s, %s, from %s\n", a.UserCode, a.Account.ID,
					printable(orNone(a.Hostname)), printable(orNone(a.Platform)), a.Remote)
				return nil
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// optional returns an argument, "" when it was not given.
func optional(args []string, i int) string {
	if i < len(args) {
		return args[i]
	}
	return ""
}

func orNone(text string) string {
	if text == "" {
		return "unnamed"
	}
	return text
}

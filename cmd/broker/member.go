package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/control"
)

func (p *program) memberCommand() *cobra.Command {
	return group(&cobra.Command{
		Use: "member", Short: "List and revoke members, and say whose they are",
		Example: "  broker member revoke home bo",
	}, p.memberListCommand(), p.memberLinkCommand(), p.memberRevokeCommand())
}

func (p *program) memberListCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "list MESH", Short: "List a mesh's members, revoked ones too",
		Example: "  broker member list home\n  broker member list home --json", Args: takes("MESH"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withPlace(c.Context(), toRead, func(s *control.Session) error {
				list, err := s.ListMembers(c.Context(), args[0])
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(list)
				}
				var rows [][]string
				for _, m := range list {
					rows = append(rows, []string{printable(m.DisplayName), m.Role, m.Key.String(), at(m.JoinedAt), at(m.RevokedAt), orDash(m.Account), m.ID})
				}
				return table(p.out, "NAME ROLE KEY JOINED REVOKED ACCOUNT ID", rows)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (p *program) memberLinkCommand() *cobra.Command {
	var force, asJSON bool
	c := &cobra.Command{
		Use:   "link MESH MEMBER USER",
		Short: "Say which account a member belongs to",
		Long: `Makes a member the account USER's, which over HTTP then acts as this member. One that
belongs to another account, perhaps one that the broker made for it, is moved with
--force only. MEMBER is named as in broker member revoke, and USER is an account that
exists.`,
		Example: "  broker member link home bo bo@example.org\n  broker member link home 3f9a01c2 ada --force",
		Args:    takes("MESH", "MEMBER", "USER"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withPlace(c.Context(), toRead, func(s *control.Session) error {
				m, err := s.LinkMember(c.Context(), args[0], args[1], args[2], force)
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(m)
				}
				before := ""
				if m.Before != "" && m.Before != m.Account {
					before = ", and no more " + m.Before + "'s"
				}
				fmt.Fprintf(p.out, "%s (key %s) is %s's%s\n", printable(m.DisplayName), short(m.Key), m.Account, before)
				return nil
			})
		},
	}
	c.Flags().BoolVar(&force, "force", false, "move a member that belongs to another account")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// orDash stands in for what is not there.
func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func (p *program) memberRevokeCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "revoke MESH MEMBER",
		Short: "End a member's access and close its sessions",
		Long: `Ends a member's access to a mesh. Its sessions on a running broker are closed at once,
with code 4002, and it cannot come back, not with a new invite either. MEMBER is a
display name, an id, a key, or the beginning of a key, 8 digits at least.`,
		Example: "  broker member revoke home bo\n  broker member revoke home 3f9a01c2",
		Args:    takes("MESH", "MEMBER"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withPlace(c.Context(), toRead, func(s *control.Session) error {
				r, err := s.RevokeMember(c.Context(), args[0], args[1])
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(r)
				}
				word := "revoked"
				if r.Already {
					word = "was revoked already:"
				}
				fmt.Fprintf(p.out, "%s %s (key %s) at %s\n", word, printable(r.DisplayName), short(r.Key), at(r.RevokedAt))
				return nil
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

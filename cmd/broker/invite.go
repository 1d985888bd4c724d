package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/control"
)

func (p *program) inviteCommand() *cobra.Command {
	return group(&cobra.Command{
		Use: "invite", Short: "Make invites",
		Example: "  broker invite create home --uses 5",
	}, p.inviteCreateCommand())
}

func (p *program) inviteCreateCommand() *cobra.Command {
	var o admin.InviteOptions
	var asJSON bool
	ttl := days(7 * 24 * time.Hour)
	c := &cobra.Command{
		Use:   "create MESH",
		Short: "Make an invite to a mesh",
		Long: `Makes an invite to a mesh, signed with the mesh owner's key. Whoever holds it can join,
and read what the mesh encrypts for all its members: hand it on as a secret.`,
		Example: "  broker invite create home\n  broker invite create home --role admin --uses 1 --ttl 1d --json",
		Args:    takes("MESH"),
		RunE: func(c *cobra.Command, args []string) error {
			o.TTL = time.Duration(ttl)
			return p.withPlace(c.Context(), toSign, func(s *control.Session) error {
				inv, err := s.CreateInvite(c.Context(), args[0], o)
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(inv)
				}
				p.printInvite(inv)
				return nil
			})
		},
	}
	c.Flags().StringVar(&o.Role, "role", "member", "role of who joins: member or admin")
	c.Flags().IntVar(&o.Uses, "uses", 1, "how many may join with it")
	c.Flags().Var(&ttl, "ttl", "how long it holds, as 7d, 12h or 30m")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// printInvite prints an invite, with its short link where there are pages that
// answer it.
func (p *program) printInvite(inv *admin.Invite) {
	fmt.Fprintf(p.out, "mesh     %s\nrole     %s\nuses     %d\nexpires  %s\nbroker   %s\ncode     %s\n",
		inv.Slug, inv.Role, inv.Uses, at(inv.ExpiresAt), inv.BrokerURL, inv.Code)
	if inv.URL != "" {
		fmt.Fprintf(p.out, "short    %s\n", inv.URL)
	}
	fmt.Fprintf(p.out, "link     %s\ntoken    %s\n", inv.Link, inv.Token)
}

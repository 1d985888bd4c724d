package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/wire"
)

func (p *program) peerPeersCommand() *cobra.Command {
	var m membership
	var asJSON bool
	c := &cobra.Command{
		Use: "peers", Short: "List who is here",
		Long:    "Lists the sessions of the mesh that are here now, but for this command's own.",
		Example: "  broker peer peers --name ada --invite TOKEN\n  broker peer peers --member ada.json --json",
		Args:    takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			return p.visit(c.Context(), &m, func(ctx context.Context, peer *dial.Peer) error {
				list, err := dial.Ask[wire.PeersList](ctx, peer, wire.ListPeers{})
				if err != nil {
					return err
				}
				return p.printPeers(list.Peers, peer, asJSON)
			})
		},
	}
	m.addTo(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// peerLine is one peer as --json prints it.
type peerLine struct {
	DisplayName  string   `json:"displayName"`
	Pubkey       string   `json:"pubkey"`
	MemberPubkey string   `json:"memberPubkey"`
	Status       string   `json:"status"`
	Summary      string   `json:"summary,omitempty"`
	Groups       []string `json:"groups"`
	ConnectedAt  string   `json:"connectedAt"`
}

func (p *program) printPeers(rows []wire.PeerRow, self *dial.Peer, asJSON bool) error {
	lines, cells := []peerLine{}, [][]string{}
	for _, r := range rows {
		if r.Pubkey == self.Key() {
			continue
		}
		line := peerLine{
			DisplayName: r.DisplayName, Pubkey: r.Pubkey.String(), MemberPubkey: r.MemberPubkey.String(), Status: r.Status,
			Groups: []string{}, ConnectedAt: r.ConnectedAt.UTC().Format("2006-01-02T15:04:05.000Z"),
		}
		if r.Summary != nil {
			line.Summary = *r.Summary
		}
		for _, g := range r.Groups {
			line.Groups = append(line.Groups, g.Name)
		}
		lines = append(lines, line)
		groups := strings.Join(line.Groups, ",")
		if groups == "" {
			groups = "-"
		}
		cells = append(cells, []string{printable(r.DisplayName), r.Status, printable(groups), line.Pubkey, printable(line.Summary)})
	}
	if asJSON {
		return p.json(lines)
	}
	return table(p.out, "NAME STATUS GROUPS KEY SUMMARY", cells)
}

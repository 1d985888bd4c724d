package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/control"
	"github.com/claudemesh/broker/core/identity"
)

func (p *program) meshCommand() *cobra.Command {
	return group(&cobra.Command{
		Use: "mesh", Short: "Make and list meshes",
		Example: "  broker mesh create team --members 2 --json",
	}, p.meshCreateCommand(), p.meshListCommand())
}

func (p *program) meshCreateCommand() *cobra.Command {
	var o admin.MeshOptions
	var asJSON bool
	var save string
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a mesh, members with fresh keys, and an invite",
		Long: `Makes a mesh, members with fresh keys (the first is an admin), and an invite for 100
more. The members' secret keys are printed with --json or written with --save; the
broker does not keep them. With --owner, an account owns the mesh and may do everything
in it over HTTP; an account that does not exist is made.`,
		Example: "  broker mesh create team\n" +
			"  broker mesh create team --owner ada             then: broker session create ada\n" +
			"  broker mesh create team --members 2 --json\n" +
			"  broker mesh create team --members 2 --save keys   then: broker peer listen --member keys/member-1.json",
		Args: takes("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			if save != "" { // before there are keys that could not be kept
				if err := os.MkdirAll(save, 0o700); err != nil {
					return err
				}
			}
			return p.withPlace(c.Context(), toMake, func(s *control.Session) error {
				m, err := s.CreateMesh(c.Context(), args[0], o)
				if err != nil {
					return err
				}
				if save != "" {
					if err := saveMembers(save, m); err != nil {
						return err
					}
				}
				if asJSON {
					return p.json(m)
				}
				return p.printNewMesh(m, save)
			})
		},
	}
	c.Flags().IntVar(&o.Members, "members", 0, "how many members to make")
	c.Flags().StringVar(&o.Owner, "owner", "", "account that owns the mesh over HTTP: USER, as in broker session create")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, secret keys included")
	c.Flags().StringVar(&save, "save", "", "directory to write a member file into for each member")
	return c
}

// saveMembers writes a file for each member, with which broker peer connects.
func saveMembers(dir string, m *admin.NewMesh) error {
	invite, err := identity.ParseToken(m.Invite)
	if err != nil {
		return err
	}
	for _, x := range m.Members {
		file := memberFile{URL: invite.BrokerURL, MeshID: m.ID, MemberID: x.ID, SecretKey: x.SecretKey, DisplayName: x.DisplayName}
		if err := file.save(filepath.Join(dir, x.DisplayName+".json")); err != nil {
			return err
		}
	}
	return nil
}

func (p *program) printNewMesh(m *admin.NewMesh, saved string) error {
	fmt.Fprintf(p.out, "mesh    %s (%s)\nid      %s\nowner   %s\n", m.Slug, printable(m.Name), m.ID, m.Owner)
	if m.Account != "" {
		fmt.Fprintf(p.out, "account %s\n", m.Account)
	}
	fmt.Fprintf(p.out, "invite  %s\n", m.Invite)
	if len(m.Members) == 0 {
		return nil
	}
	fmt.Fprintln(p.out)
	var rows [][]string
	for _, x := range m.Members {
		rows = append(rows, []string{x.DisplayName, x.Role, x.ID, x.Key.String()})
	}
	if err := table(p.out, "NAME ROLE ID KEY", rows); err != nil {
		return err
	}
	if saved == "" {
		fmt.Fprintln(p.err, "the members' secret keys were not shown and are kept nowhere: use --json or --save to get them")
	}
	return nil
}

func (p *program) meshListCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List meshes", Example: "  broker mesh list --json", Args: takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			return p.with(c.Context(), toRead, func(s *control.Session) error {
				list, err := s.ListMeshes(c.Context())
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(list)
				}
				var rows [][]string
				for _, m := range list {
					rows = append(rows, []string{m.Slug, strconv.Itoa(m.Members), at(m.CreatedAt), m.ID, printable(m.Name)})
				}
				return table(p.out, "MESH MEMBERS CREATED ID NAME", rows)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

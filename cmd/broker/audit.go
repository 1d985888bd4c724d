package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/control"
)

func (p *program) auditCommand() *cobra.Command {
	return group(&cobra.Command{
		Use: "audit", Short: "Verify audit logs",
		Example: "  broker audit verify home",
	}, p.auditVerifyCommand())
}

func (p *program) auditVerifyCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify MESH",
		Short: "Check the hash chain of a mesh's audit log",
		Long: `Reads the whole audit log of a mesh and checks every hash, every link and the recorded
end. Exits with 1 when the chain is broken, and says where.`,
		Example: "  broker audit verify home",
		Args:    takes("MESH"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.with(c.Context(), toRead, func(s *control.Session) error {
				v, err := s.VerifyAudit(c.Context(), args[0])
				switch {
				case err != nil:
					return err
				case asJSON:
					err = p.json(v)
				case v.Valid:
					fmt.Fprintf(p.out, "mesh %s: %d entries, chain intact\n", v.Slug, v.Entries)
				default:
					fmt.Fprintf(p.out, "mesh %s: BROKEN at entry %d of %d: %s\n", v.Slug, v.BrokenAt, v.Entries, v.Why)
				}
				if err == nil && !v.Valid {
					return errSaid
				}
				return err
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

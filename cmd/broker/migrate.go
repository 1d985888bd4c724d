package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/control"
)

func (p *program) migrateCommand() *cobra.Command {
	return group(&cobra.Command{
		Use: "migrate", Short: "List and apply the store's migrations",
		Example: "  broker migrate status",
	},
		p.migrationsCommand("status", "List the store's migrations",
			"Lists the store's migrations. The embedded store applies what is pending whenever it is\nopened, so that none is; PostgreSQL keeps it for broker serve, or migrate up.",
			toList, admin.Ops.Migrations),
		p.migrationsCommand("up", "Apply what is pending, and list all",
			"Applies pending migrations and lists all of them. A broker that starts does the same.",
			toMigrate, admin.Ops.Migrate),
		p.migrateImportCommand())
}

// migrationsCommand is a command that ends with a list of migrations.
func (p *program) migrationsCommand(use, shortText, long string, why purpose, do func(admin.Ops, context.Context) ([]admin.Migration, error)) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: use, Short: shortText, Long: long,
		Example: "  broker migrate " + use + " --data-dir /var/lib/broker", Args: takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			return p.with(c.Context(), why, func(s *control.Session) error {
				list, err := do(s, c.Context())
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(list)
				}
				var rows [][]string
				for _, m := range list {
					state := "pending"
					if !m.AppliedAt.IsZero() {
						state = at(m.AppliedAt)
					}
					rows = append(rows, []string{strconv.FormatInt(m.Version, 10), m.Name, state, m.SHA256})
				}
				return table(p.out, "VERSION FILE APPLIED SHA-256", rows)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/adopt"
	"github.com/claudemesh/broker/core/backend"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/sqlite"
)

// importFlags are those of broker migrate import.
type importFlags struct {
	from   string
	meshes []string
	dryRun bool
	asJSON bool
}

func (p *program) migrateImportCommand() *cobra.Command {
	var f importFlags
	c := &cobra.Command{
		Use:   "import --from URL",
		Short: "Take over the database of the original broker",
		Long: `Copies meshes, members, invites, grants, audit chains, topics, API keys, webhooks, what
members and sessions left behind and the messages that wait from the PostgreSQL database
of the original broker, and verifies the audit chains afterwards. Shared files are counted
and not copied: their bytes are elsewhere. The original's database is only read. Each mesh
is copied in one transaction. A second run adds what is new over there and changes
nothing else. Rows that cannot be copied are counted, with the reason.

Stop the broker that serves this store first. docs/adopt.md tells the whole way.
Exits with 1 when an audit chain does not hold; it is imported all the same.`,
		Example: "  broker migrate import --from \"$OLD_DATABASE_URL\" --dry-run\n" +
			"  broker migrate import --from postgres://user@host/claudemesh --mesh dev-team   password: PGPASSWORD or ~/.pgpass",
		Args: takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			if f.from == "" {
				return usage(c, c.CommandPath()+" needs --from, the URL of the original broker's database")
			}
			return p.migrateImport(c.Context(), f)
		},
	}
	c.Flags().StringVar(&f.from, "from", "", "URL of the original broker's PostgreSQL database")
	c.Flags().StringArrayVar(&f.meshes, "mesh", nil, "import only this mesh, by its id or slug over there; may be repeated")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "write nothing, and say what would happen")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	return c
}

// migrateImport imports while no broker can start on the store.
func (p *program) migrateImport(ctx context.Context, f importFlags) (err error) {
	loaded, err := p.loadForCommand()
	if err != nil {
		return err
	}
	c := loaded.Config
	open := openToImport
	if f.dryRun {
		open = openToRehearse
	}
	st, done, err := open(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	src, err := adopt.Open(ctx, f.from)
	if err != nil {
		return fmt.Errorf("the original's database (--from): %w", err)
	}
	defer src.Close()
	keys := identity.NewAtRest([identity.AtRestKeySize]byte{}) // of a dry run, whose rows nobody opens
	if !f.dryRun {
		if keys, err = importKeys(ctx, c, st); err != nil {
			return err
		}
	}
	target, ok := st.(adopt.Target)
	if !ok {
		return core.Refuse("unsupported", "this kind of store cannot import")
	}
	report, err := adopt.Run(ctx, src, target, adopt.Options{
		Meshes: f.meshes, DryRun: f.dryRun, ExpireAfter: c.Queue.ExpireAfter, Keys: keys, Now: time.Now().UTC(),
	})
	if err != nil && len(report.Meshes) == 0 {
		return err
	}
	return errors.Join(p.printImport(report, f.asJSON), err, broken(report))
}

// openToImport opens the store, and makes it when there is none, while nobody
// serves it: done ends that.
func openToImport(ctx context.Context, c config.Config) (st backend.Database, done func() error, err error) {
	st, unlock, err := takeStore(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	done = func() error {
		defer unlock()
		return st.Close()
	}
	if err := unserved(ctx, st); err != nil {
		return nil, nil, errors.Join(err, done())
	}
	return st, done, nil
}

// openToRehearse opens the store, or an empty one in its place, so that a dry
// run makes nothing.
func openToRehearse(ctx context.Context, c config.Config) (backend.Database, func() error, error) {
	there, err := storeIsThere(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	if there {
		return openToImport(ctx, c)
	}
	dir, err := os.MkdirTemp("", "broker-dry-run-")
	if err != nil {
		return nil, nil, err
	}
	st, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(dir, backend.StoreName), Durability: sqlite.Process})
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return st, func() error { return errors.Join(st.Close(), os.RemoveAll(dir)) }, nil
}

// storeIsThere reports whether the store has its tables.
func storeIsThere(ctx context.Context, c config.Config) (bool, error) {
	if c.Store.Engine() == "sqlite" {
		_, err := os.Stat(filepath.Join(c.DataDir, backend.StoreName))
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	}
	c.Store.Migrate = false
	st, err := backend.OpenStore(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		return false, err
	}
	pending, err := st.PendingMigrations(ctx)
	return len(pending) == 0, errors.Join(err, st.Close())
}

// importKeys returns the key that seals the secrets, and refuses one that is
// not the one that the store was made with.
func importKeys(ctx context.Context, c config.Config, st backend.Database) (*identity.AtRest, error) {
	keys, err := loadKeys(ctx, c, st, true)
	if err != nil || keys == nil { // no key is said when there is something to seal
		return nil, err
	}
	_, err = admin.New(st, keys, admin.Hooks{}).CheckKey(ctx)
	return keys, err
}

// unserved refuses a store that several processes can open while a broker
// serves it.
func unserved(ctx context.Context, st any) error {
	shared, ok := st.(store.Nodes)
	if !ok {
		return nil
	}
	nodes, err := shared.ListNodes(ctx)
	if err != nil {
		return core.Unavailable(err)
	}
	for _, n := range nodes {
		if n.Expires > 0 {
			return core.Refuse("running", fmt.Sprintf("a broker on host %s serves this store: stop all of them, "+
				"and if it is gone, wait %s for its lease to end", n.Host, n.Expires.Round(time.Second)))
		}
	}
	return nil
}

// broken is the error of a report with a chain that does not hold.
func broken(r *adopt.Report) error {
	if !r.Broken() {
		return nil
	}
	var slugs []string
	for _, m := range r.Meshes {
		if !m.Chain.Valid {
			slugs = append(slugs, m.Slug)
		}
	}
	what := "it was imported as it is"
	if r.DryRun {
		what = "an import would take it as it is"
	}
	return core.Refuse("audit_broken", fmt.Sprintf("the audit chain of %s does not hold in the original's database; %s, with everything else",
		strings.Join(slugs, ", "), what))
}

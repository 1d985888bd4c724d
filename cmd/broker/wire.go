package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/app"
	coreaudit "github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/sqlite"
	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/stages"
	"github.com/claudemesh/broker/stages/audit"
	"github.com/claudemesh/broker/stages/auth"
	"github.com/claudemesh/broker/stages/grants"
)

// storeName is the store's file in the data directory.
const storeName = "broker.db"

// embedded refuses a config that selects another store than the embedded one.
func embedded(c config.Config) error {
	if c.Store.Engine() == "sqlite" {
		return nil
	}
	return core.Refuse("unsupported", "DATABASE_URL (store.url) selects PostgreSQL, and its store comes with a later release: "+
		"unset it to use the embedded store in data_dir")
}

// openStore opens the store that a config selects, and makes it, with its
// directory, when there is none and create is set.
func openStore(ctx context.Context, c config.Config, create bool) (*sqlite.Store, error) {
	if err := embedded(c); err != nil {
		return nil, err
	}
	path := filepath.Join(c.DataDir, storeName)
	if create {
		if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
			return nil, fmt.Errorf("data_dir: %w", err)
		}
	} else if _, err := os.Stat(path); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, core.Refuse(sdk.ReasonNotFound, "there is no store in "+c.DataDir+
				": broker serve and broker mesh create make one, and --data-dir chooses another")
		}
		return nil, err
	}
	return sqlite.Open(ctx, sqlite.Options{Path: path, Durability: sqlite.Durability(c.Store.Durability)})
}

// newApp puts the broker together.
func newApp(ctx context.Context, c config.Config, st *sqlite.Store, log *slog.Logger, o app.Options) (*app.App, error) {
	drops := new(grants.Drops)
	o.Config, o.Store, o.Log, o.Version = c, st, log, programVersion()
	o.Factories = func(p app.Parts) chain.Factories { return builtins(p, drops) }
	o.Migration = func(ctx context.Context, expected string) (bool, error) { return migrated(ctx, st, expected) }
	o.Dropped = func() map[string]int64 {
		return map[string]int64{string(store.CapDM): int64(drops.DM()), string(store.CapBroadcast): int64(drops.Broadcast())}
	}
	return app.New(ctx, o)
}

// builtins are the stages that a pipeline can name, made of the broker's parts.
func builtins(p app.Parts, drops *grants.Drops) chain.Factories {
	return stages.Factories(stages.All(stages.Deps{
		Auth:   func(chain.LinkSpec) (sdk.Stage, error) { return auth.New(p.Roster, p.Roster, p.UseOnce), nil },
		Grants: p.Roster, Drops: drops, Dispatch: p.Registry,
		Audit: audit.Options{Events: p.Config.Audit.Events},
	}))
}

// describe returns the chain that a config would run. The stages are made for
// it, never started, and work with nothing.
func describe(c config.Config) (chain.Description, error) {
	spec := app.Spec(c, nil, app.Options{Log: slog.New(slog.DiscardHandler)})
	built, err := chain.Build(spec, builtins(app.Parts{Config: c}, nil))
	if err != nil {
		return chain.Description{}, err
	}
	return built.Describe(false), built.Stop(context.Background())
}

// migrated reports whether the store has a migration, by version, file name or
// SHA-256.
func migrated(ctx context.Context, st *sqlite.Store, expected string) (bool, error) {
	list, err := st.Migrations(ctx)
	for _, m := range list {
		if expected == m.Name || expected == m.SHA256 || expected == fmt.Sprint(m.Version) {
			return true, nil
		}
	}
	return false, err
}

// migrations lists the store's migrations. Opening the store has applied
// whatever was pending, so none ever is.
func migrations(ctx context.Context, st *sqlite.Store) ([]admin.Migration, error) {
	rows, err := st.Migrations(ctx)
	list := make([]admin.Migration, len(rows))
	for i, m := range rows {
		list[i] = admin.Migration(m)
	}
	return list, err
}

// hooks are what operations on a store need, with or without a broker.
func hooks(st *sqlite.Store, url func() string) admin.Hooks {
	list := func(ctx context.Context) ([]admin.Migration, error) { return migrations(ctx, st) }
	return admin.Hooks{URL: url, Migrations: list, Migrate: list}
}

// recordIn returns what writes to the audit log of a store on which no broker
// runs; a broker writes its log itself.
func recordIn(c config.Config, st *sqlite.Store) func(context.Context, *coreaudit.Entry) error {
	return func(ctx context.Context, e *coreaudit.Entry) error {
		if !c.Audit.Records(e.EventType) {
			return nil
		}
		return st.Commit(ctx, &store.Batch{Audit: []*coreaudit.Entry{e}})
	}
}

// loadKeys returns the key that seals secrets: the config's, else the one in the
// data directory, which is made with the first mesh.
func loadKeys(ctx context.Context, c config.Config, st *sqlite.Store) (*identity.AtRest, error) {
	if text := c.EncryptionKey.Reveal(); text != "" {
		return identity.ParseAtRest(text)
	}
	if c.Mode == config.Production && !c.Insecure {
		return nil, nil // operations that need it say so
	}
	meshes, err := st.ListMeshes(ctx)
	if err != nil {
		return nil, err
	}
	return keyFile(c.DataDir, len(meshes) == 0)
}

// publicURL is the URL that invites carry: the config's, else that of the
// address on which the broker listens.
func publicURL(c config.Config, addr string) string {
	if c.PublicURL != "" {
		return c.PublicURL
	}
	return localURL(addr)
}

// localURL is where a program on this machine reaches an address that is
// listened on. One that means every interface is reached at the loopback.
func localURL(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "ws://" + addr + "/ws"
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "ws://" + net.JoinHostPort(host, port) + "/ws"
}

// newLogger makes the broker's own log.
func (p *program) newLogger(c config.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: level}
	if c.Format == config.Text {
		return slog.New(slog.NewTextHandler(p.err, o))
	}
	return slog.New(slog.NewJSONHandler(p.err, o))
}

// stopTime bounds what is left to do when the broker has stopped.
const stopTime = 10 * time.Second

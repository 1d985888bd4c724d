package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/app"
	coreaudit "github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/backend"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/token"
	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/stages"
	"github.com/claudemesh/broker/stages/audit"
	"github.com/claudemesh/broker/stages/auth"
	"github.com/claudemesh/broker/stages/grants"
	"github.com/claudemesh/broker/stages/legacyauth"
)

// newApp puts the broker together.
func newApp(ctx context.Context, c config.Config, st backend.Database, log *slog.Logger, o app.Options) (*app.App, error) {
	drops := new(grants.Drops)
	hits := new(legacyauth.Hits)
	o.Config, o.Store, o.Log, o.Version = c, st, log, programVersion()
	o.Factories = func(p app.Parts) chain.Factories { return builtins(p, drops, hits, log) }
	o.LegacyHits = hits.Load
	o.Migrations = st
	o.Dropped = func() map[string]int64 {
		return map[string]int64{string(store.CapDM): int64(drops.DM()), string(store.CapBroadcast): int64(drops.Broadcast())}
	}
	var err error
	if o.SQL, err = backend.OpenMeshSQL(ctx, c); err != nil {
		return nil, err
	}
	return app.New(ctx, o)
}

// builtins are the stages that a pipeline can name, made of the broker's parts.
func builtins(p app.Parts, drops *grants.Drops, hits *legacyauth.Hits, log *slog.Logger) chain.Factories {
	return stages.Factories(stages.All(stages.Deps{
		Auth: func(chain.LinkSpec) (sdk.Stage, error) {
			return auth.New(p.Roster, p.Roster, p.Callers, p.UseOnce), nil
		},
		Legacy: p.Callers, LegacyHits: hits, Log: log,
		Grants: p.Roster, Drops: drops, Dispatch: p.Registry,
		Audit: audit.Options{Events: p.Config.Audit.Events},
	}))
}

// describe returns the chain that a config would run. The stages are made for
// it, never started, and work with nothing.
func describe(c config.Config) (chain.Description, error) {
	h, err := newPluginHost()
	if err != nil {
		return chain.Description{}, err
	}
	spec := app.Spec(c, nil, app.Options{Log: slog.New(slog.DiscardHandler), Plugins: h})
	built, err := chain.Build(spec, builtins(app.Parts{Config: c}, nil, nil, nil))
	if err != nil {
		return chain.Description{}, err
	}
	return built.Describe(false), built.Stop(context.Background())
}

// migrations lists the store's migrations, the pending ones last.
func migrations(ctx context.Context, st backend.Database) ([]admin.Migration, error) {
	applied, err := st.Migrations(ctx)
	if err != nil {
		return nil, err
	}
	pending, err := st.PendingMigrations(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]admin.Migration, 0, len(applied)+len(pending))
	for _, m := range append(applied, pending...) {
		list = append(list, admin.Migration(m))
	}
	return list, nil
}

// hooks are what operations on a store need, with or without a broker.
func hooks(c config.Config, st backend.Database, url func() string) admin.Hooks {
	return admin.Hooks{
		URL:        url,
		AppURL:     func() string { return c.HTTP.Links(url()) },
		Migrations: func(ctx context.Context) ([]admin.Migration, error) { return migrations(ctx, st) },
		Migrate: func(ctx context.Context) ([]admin.Migration, error) {
			if err := st.Up(ctx); err != nil {
				return nil, err
			}
			return migrations(ctx, st)
		},
	}
}

// recordIn returns what writes to the audit log of a store on which no broker
// of this data directory runs; a broker writes its log itself.
func recordIn(c config.Config, st backend.Database) func(context.Context, *coreaudit.Entry) error {
	return func(ctx context.Context, e *coreaudit.Entry) error {
		if !c.Audit.Records(e.EventType) {
			return nil
		}
		return st.Commit(ctx, &store.Batch{Audit: []*coreaudit.Entry{e}})
	}
}

// loadKeys returns the key that seals secrets: the config's, else the one in the
// data directory, which whoever may be the first to use the store makes before
// there is a mesh.
func loadKeys(ctx context.Context, c config.Config, st backend.Database, first bool) (*identity.AtRest, error) {
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
	keys, err := keyFile(c.DataDir, first && len(meshes) == 0)
	switch {
	case !errors.Is(err, errKeyMissing):
		return keys, err
	case len(meshes) == 0:
		return nil, core.Refuse(sdk.ReasonNotFound, "no broker has made its key in "+c.DataDir+" yet: "+whereToLook)
	case c.Store.Engine() == "postgres":
		// Another replica has made the key. This one can do all but sign.
		return nil, nil
	}
	return nil, err
}

// tokenKeys returns what signs bearer tokens, nil without a key.
func tokenKeys(keys *identity.AtRest) *token.Keys {
	if keys == nil {
		return nil
	}
	return token.NewKeys(keys.Key())
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

// stopTime bounds what is left to do when the broker has stopped.
const stopTime = 10 * time.Second

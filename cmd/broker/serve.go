package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/backend"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/control"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/logging"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/core/refusals"
	"github.com/claudemesh/broker/core/reload"
	"github.com/claudemesh/broker/core/tracing"
)

func (p *program) serveCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve (also without a command)",
		Long: `Serves until SIGINT or SIGTERM, then stops gracefully; a second signal kills. SIGHUP
reads the config again, as broker reload does. So does a change of the config file, or of
a plugin's program, unless reload.watch is false.

One line goes to standard output, when the broker accepts connections:
"ready ws://HOST:PORT/ws". Everything else goes to standard error.`,
		Example: "  broker serve --config broker.yaml\n" +
			"  broker serve --listen 127.0.0.1:0 --data-dir /tmp/try --set limits.connections_per_mesh=1000",
		Args: noCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			p.settings.takeServeFlags(c.Flags())
			return p.serve(c.Context())
		},
	}
	c.Flags().String("listen", "", "address to listen on, as host:port; port 0 picks a free one (default: the config's, else 127.0.0.1:7900)")
	c.Flags().String("durability", "", "what an acknowledged message survives: power (a power cut) or process (kill -9; faster)")
	return c
}

// takeServeFlags turns serve's own flags, where they are given, into keys of the
// config.
func (s *settings) takeServeFlags(f *pflag.FlagSet) {
	s.more = map[string]string{}
	for flag, key := range map[string]string{"listen": "listen", "durability": "store.durability"} {
		if f.Changed(flag) {
			s.more[key] = f.Lookup(flag).Value.String()
		}
	}
}

// serve runs a broker until ctx ends.
func (p *program) serve(ctx context.Context) (err error) {
	loaded, err := p.loadToServe()
	if err != nil {
		return err
	}
	c := loaded.Config
	log, level := logging.New(p.err, c.Log)
	for _, w := range loaded.Warnings {
		log.Warn(w)
	}
	st, unlock, err := takeStore(ctx, c, log)
	if err != nil {
		return err
	}
	defer unlock()
	defer func() { err = errors.Join(err, st.Close()) }()
	keys, err := loadKeys(ctx, c, st, true)
	if err != nil {
		return err
	}
	if keys == nil && c.Mode == config.Dev {
		log.Warn("no encryption key: this replica makes no meshes and no invites; set BROKER_ENCRYPTION_KEY to what the first one has")
	} else {
		bound, err := bindSecrets(ctx, st, keys, log)
		if err != nil {
			return err
		}
		defer bound()
	}

	node, closeBus, err := backend.JoinCluster(ctx, c, st, programVersion(), log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeBus()) }()

	traces, closeTraces, err := p.openTraces(ctx, c.Telemetry, resourceOf(ctx, c.Telemetry, node, log), log)
	if err != nil {
		return errors.Join(err, leave(ctx, node))
	}
	defer closeTraces()

	plugins, closePlugins, err := openPlugins(c, traces, log)
	if err != nil {
		return errors.Join(err, leave(ctx, node))
	}
	defer func() { err = errors.Join(err, closePlugins()) }()

	token, tokenFile, err := consoleToken(c)
	if err != nil {
		return errors.Join(err, leave(ctx, node))
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	b := &broker{
		program: p, config: c, store: st, plugins: plugins, log: log, fail: fail,
		refusals: refusals.New(refusals.DefaultSize), level: level, tokenFile: tokenFile,
	}
	b.app, err = newApp(ctx, c, st, log, app.Options{
		Cluster: node, Keys: keys, Tokens: tokenKeys(keys), URL: b.publicURL,
		Plugins: plugins, Traces: traces, Refusals: b.refusals,
		Reloads: func() reload.Numbers { return b.reloads.Numbers() },
		Console: b.console(token, loaded.File),
		Ready: func(addr string) {
			if err := b.ready(ctx, addr); err != nil {
				fail(err)
			}
		},
	})
	if err != nil {
		return errors.Join(err, leave(ctx, node))
	}
	b.reloads = reload.New(reload.Options{First: loaded, Load: b.loadToServe, Chains: b.app, Log: log})
	b.ops = b.operations(keys)
	return b.run(ctx)
}

// openPlugins makes the host of the broker's plugins, whose sockets are in the
// data directory. It is closed when the chain has been.
func openPlugins(c config.Config, traces *tracing.Provider, log *slog.Logger) (_ *pluginhost.Host, closeAll func() error, err error) {
	h, err := pluginhost.New(pluginhost.Options{
		RunDir: filepath.Join(c.DataDir, "plugins"), Version: programVersion(), Log: log,
		Tracer: traces.Spans(), Spans: traces.Processor(),
	})
	if err != nil {
		return nil, nil, err
	}
	return h, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), stopTime)
		defer cancel()
		return h.Close(ctx)
	}, nil
}

// takeStore locks the data directory, which it makes when there is none, and
// opens its store.
func takeStore(ctx context.Context, c config.Config, log *slog.Logger) (_ backend.Database, unlock func(), err error) {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("data_dir: %w", err)
	}
	if unlock, err = control.Lock(ctx, c.DataDir); err != nil {
		return nil, nil, err
	}
	st, err := openStore(ctx, c, true, log)
	if err != nil {
		unlock()
		return nil, nil, err
	}
	return st, unlock, nil
}

// broker is one serving process.
type broker struct {
	*program

	// Set by serve.
	config  config.Config
	store   backend.Database
	plugins *pluginhost.Host
	log     *slog.Logger
	app     *app.App
	ops     *admin.Local
	reloads *reload.Reloader
	fail    context.CancelCauseFunc

	refusals *refusals.Ring
	level    *logging.Level

	tokenFile string // of the console; empty where the config has the token

	control *control.Server // set by ready, when the broker accepts connections
}

// operations returns what the control socket offers.
func (b *broker) operations(keys *identity.AtRest) *admin.Local {
	h := hooks(b.config, b.store, b.publicURL)
	h.AppURL = func() string { return b.config.HTTP.Links(b.publicURL()) }
	h.TokenTTL = b.config.HTTP.TokenTTL
	h.Revoked = b.app.Revoked
	h.MemberChanged = b.app.Forget
	h.MeshChanged = b.app.ForgetMesh
	h.Record = b.app.Record
	h.Reload = b.reloads.Reload
	h.Loaded = b.reloads.Loaded
	h.Plugins = b.plugins.Status
	h.ResumePlugin = b.plugins.Resume
	h.Refusals, h.Level = b.refusals, b.level
	h.Chain = func() (chain.Description, bool, error) { return b.app.Chain().Describe(true), true, nil }
	return admin.New(b.store, keys, h)
}

// publicURL is what others reach this broker by.
func (b *broker) publicURL() string { return publicURL(b.config, b.app.Addr()) }

// run serves, and ends what serving began.
func (b *broker) run(ctx context.Context) error {
	reloading := b.reload(ctx)
	err := b.app.Run(ctx)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = errors.Join(cause, err)
	}
	b.fail(nil)
	if b.control != nil {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		err = errors.Join(err, b.control.Close(stop))
	}
	reloading()
	return err
}

// ready opens the control socket, greets the operator, and says that the broker
// accepts connections: from that line on, commands reach it.
func (b *broker) ready(ctx context.Context, addr string) (err error) {
	about := control.About{
		Version: programVersion(), PID: os.Getpid(), URL: publicURL(b.config, addr), StartedAt: time.Now().UTC().Truncate(time.Millisecond),
		Console: b.app.ConsoleURL(), ConsoleTokenFile: b.tokenFile,
	}
	if b.control, err = control.Serve(ctx, b.config.DataDir, b.ops, about, b.log); err != nil {
		return err
	}
	if err := b.greet(ctx, addr); err != nil {
		return err
	}
	b.sayConsole()
	_, err = fmt.Fprintln(b.out, "ready", localURL(addr))
	return err
}

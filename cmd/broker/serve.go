package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/backend"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/cluster"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/control"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/logging"
	"github.com/claudemesh/broker/core/object"
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
	b := &broker{program: p, loaded: loaded, config: loaded.Config, refusals: refusals.New(refusals.DefaultSize)}
	b.log, b.level = logging.New(p.err, b.config.Log)
	for _, w := range loaded.Warnings {
		b.log.Warn(w)
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.open(ctx); err != nil {
		return errors.Join(err, leave(ctx, b.node))
	}
	ctx, b.fail = context.WithCancelCause(ctx)
	defer b.fail(nil)
	if err := b.assemble(ctx); err != nil {
		return errors.Join(err, leave(ctx, b.node))
	}
	return b.run(ctx)
}

// assemble puts the broker together of what is open.
func (b *broker) assemble(ctx context.Context) (err error) {
	b.app, err = newApp(ctx, b.config, b.store, b.log, app.Options{
		Cluster: b.node, Keys: b.keys, Tokens: tokenKeys(b.keys), URL: b.publicURL,
		Plugins: b.plugins, Traces: b.traces, Refusals: b.refusals, Objects: b.objects,
		Reloads: func() reload.Numbers { return b.reloads.Numbers() },
		Console: b.console(),
		Ready: func(addr string) {
			if err := b.ready(ctx, addr); err != nil {
				b.fail(err)
			}
		},
	})
	if err != nil {
		return err
	}
	b.reloads = reload.New(reload.Options{First: b.loaded, Load: b.loadToServe, Chains: b.app, Log: b.log})
	b.ops = b.operations()
	return b.sendMetrics(ctx)
}

// broker is one serving process.
type broker struct {
	*program

	// Set by serve.
	loaded   reload.Loaded
	config   config.Config
	log      *slog.Logger
	level    *logging.Level
	refusals *refusals.Ring
	fail     context.CancelCauseFunc

	// Set by open.
	store     backend.Database
	keys      *identity.AtRest
	node      *cluster.Node // nil for a broker on its own
	resource  *resource.Resource
	traces    *tracing.Provider // nil when no traces are sent
	plugins   *pluginhost.Host
	objects   object.Store  // nil where no files are shared
	token     config.Secret // of the console; empty without one
	tokenFile string        // that has it; empty where the config has
	closers   []func() error

	// Set by assemble.
	app     *app.App
	reloads *reload.Reloader
	ops     *admin.Local

	control *control.Server // set by ready, when the broker accepts connections
}

// operations returns what the control socket offers.
func (b *broker) operations() *admin.Local {
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
	return admin.New(b.store, b.keys, h)
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
		Version: programVersion(), PID: os.Getpid(), URL: publicURL(b.config, addr), LocalURL: localURL(addr), StartedAt: time.Now().UTC().Truncate(time.Millisecond),
		Console: b.app.ConsoleURL(), ConsoleTokenFile: b.tokenFile, ConsoleTokenHash: tokenHash(b.token),
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

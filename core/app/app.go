// Package app is the whole broker in a struct, so that a program, a test and a
// demo run the same thing.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/core/api"
	"github.com/claudemesh/broker/core/caller"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/cluster"
	"github.com/claudemesh/broker/core/commit"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/console"
	"github.com/claudemesh/broker/core/delivery"
	"github.com/claudemesh/broker/core/edge"
	"github.com/claudemesh/broker/core/exchange"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/files"
	"github.com/claudemesh/broker/core/hub"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/meshsql"
	"github.com/claudemesh/broker/core/object"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/refusals"
	"github.com/claudemesh/broker/core/relay"
	"github.com/claudemesh/broker/core/reload"
	"github.com/claudemesh/broker/core/roster"
	"github.com/claudemesh/broker/core/schedule"
	"github.com/claudemesh/broker/core/server"
	"github.com/claudemesh/broker/core/sse"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/token"
	"github.com/claudemesh/broker/core/tracing"
)

const (
	// invalidLimit is how many frames that are no hello a stranger may send.
	invalidLimit = 16

	// announceRate is how many event frames a second one mesh may cause, over
	// all recipients. A hundred sessions that come at once cause half as many. Each
	// frame is a system call, so the limit keeps a storm below a fifth of a core.
	announceRate = 20_000
)

// Options are what a broker is made of.
type Options struct {
	Config config.Config
	Store  store.Store

	// Factories are the stages that the pipeline can name.
	Factories func(Parts) chain.Factories

	// Plugins makes the stages of links with a plugin section; nil refuses them.
	Plugins Plugins

	// Cluster is this process's place among those that share the store; nil for
	// a broker on its own. Run runs it, and leaves it at the end.
	Cluster *cluster.Node

	// Keys seal and open what the store must not show, and Tokens sign bearer
	// tokens; nil where the operator's key is not known, and then nobody signs in
	// and nobody makes meshes over HTTP.
	Keys   *identity.AtRest
	Tokens *token.Keys

	// URL returns the WebSocket URL that others reach this broker by; nil for the
	// config's public_url.
	URL func() string

	// LegacyHits returns how many requests legacy-auth has let in; nil when nobody
	// counts.
	LegacyHits func() int64

	// Objects have the bytes of files; nil where there are no files. The caller keeps
	// it open until Run has returned.
	Objects object.Store

	// SQL has the databases of meshes; nil where there are none. Run closes it.
	SQL meshsql.Engine

	// Migrations are the store's; nil when it cannot tell.
	Migrations server.Migrations

	// Reloads returns what to report of reloads; nil when nobody reloads.
	Reloads func() reload.Numbers

	// Dropped returns how many recipients grants kept out, by capability; nil
	// when nobody counts.
	Dropped func() map[string]int64

	// Console is what the page at console.listen needs; nil serves none.
	Console *Console

	Log     *slog.Logger
	Version string
	Probes  chain.Probes // watch envelopes; nil for the spans of Traces alone, if there are any

	// Traces makes the spans of envelopes; nil makes none.
	Traces *tracing.Provider

	// Refusals remembers what was refused; nil remembers nothing.
	Refusals *refusals.Ring

	Ready func(addr string) // called once, when the broker accepts connections
}

// Parts are what stages may use.
type Parts struct {
	Config config.Config

	// UseOnce reports whether a token is seen for the first time on any node;
	// nil for a broker on its own.
	UseOnce func(ctx context.Context, token [32]byte, until time.Time) (fresh bool, err error)

	Roster   *roster.Roster
	Callers  *caller.Callers
	Registry *feature.Registry
}

// App is one broker. Make it with New, start it with Run, once.
type App struct {
	options Options
	log     *slog.Logger

	// Set by New.
	committer *commit.Committer
	journal   *commit.Journal
	engine    *delivery.Engine
	dir       *presence.Directory
	roster    *roster.Roster
	registry  *feature.Registry
	files     *files.Files // nil where there are none
	hub       *hub.Hub
	chains    *chain.Holder
	exchange  *exchange.Exchange
	routes    []*api.Route
	answered  *server.Counters
	edge      *edge.Edge
	health    *server.Health
	http      *http.Server
	ops       *http.Server // nil unless there is a second address
	gate      *exchange.Gate
	notices   *notices
	streams   *sse.Streams
	relay     *relay.Relay
	heard     *turns // news of other nodes
	leaving   *turns // what sessions that are over have left
	scheduler *schedule.Runner

	config   atomic.Pointer[config.Config]
	addr     atomic.Pointer[string]
	console  atomic.Pointer[console.Server] // set by Run; nil unless there is a page
	depth    depth
	unread   unread
	archived chan struct{} // a mesh was: its database can go
	probe    probe
	beyond   *beyond
	tasks    sync.WaitGroup // background work of Run
	peers    sync.WaitGroup // a goroutine for each connection
	reload   sync.Mutex
}

// New wires a broker and starts its chain. The caller keeps the store open
// until Run has returned.
func New(ctx context.Context, o Options) (*App, error) {
	if o.Probes == nil && o.Traces != nil {
		o.Probes = o.Traces.Envelopes().Probe
	}
	counted := newBeyond(&o)
	a := &App{options: o, beyond: counted, log: o.Log, chains: chain.NewHolder(), archived: make(chan struct{}, 1)}
	c := o.Config
	a.config.Store(&c)
	if o.Cluster == nil {
		if _, err := o.Store.CloseOpenPresences(ctx, time.Now()); err != nil {
			return nil, fmt.Errorf("close presences of an earlier run: %w", err)
		}
	}
	st := patient{o.Store, store.NewPatience(storeWait(c), slog.New(slog.DiscardHandler))} // the committer says it for all
	a.committer = commit.New(o.Store, store.NewPatience(storeWait(c), o.Log), o.Log)
	journal := commit.NewJournal(a.committer)
	a.journal = journal
	var err error
	a.engine, err = delivery.NewEngine(ctx, deliveryOptions(c, o.Cluster, o.Traces.Envelopes()), st, a.committer, encodePush, o.Log)
	if err != nil {
		return nil, errors.Join(err, a.committer.Close(ctx))
	}
	a.dir = presence.NewDirectory(presenceOptions(c, o.Cluster), a.engine, a.presenceJournal(), o.Log)
	a.engine.Use(a.dir)
	a.roster = roster.New(st, a.dir, journal, a.claims())
	a.relay = relay.New(a.dir, a.relayNodes())
	a.heard, a.leaving = newTurns("news", o.Log), newTurns("what a session left", o.Log)
	a.joinCluster()
	a.hub = hub.New(hubOptions(c), o.Log)
	a.gate = exchange.NewGate(a.dir.Live)
	a.notices = newNotices(time.Now())
	a.files = a.newFiles(c, o)
	a.streams = a.newStreams()
	a.scheduler = a.newScheduler(o.Store, o.Log)
	a.roster.UseTopics(feature.NewTopicAudience(feature.NewTopicBook(st, a.roster), a.dir))
	a.registry = feature.All(feature.Deps{
		Directory: a.dir, Engine: a.engine, Store: written{st, a.committer, journal}, Roster: members{a.roster, a}, Sessions: a,
		Send: sendOptions(c, a.gate), Callers: a.callers(), Announcer: a, Files: a.fileOptions(c), Caster: a, Relay: a.relay, Poster: a,
		Keys: o.Keys, Links: a.links, Watch: watchClient(c), SQL: o.SQL,
		Schedules: feature.ScheduleOptions{Keys: o.Keys, Wake: a.scheduler.Wake},
	})
	a.routes = a.newRoutes(c)
	a.exchange = exchange.New(exchange.Options{
		Window: c.Limits.Window, InvalidLimit: invalidLimit, Gate: a.gate, Traces: o.Traces.Envelopes(), Refusals: o.Refusals,
	},
		a.chains, a.registry, a.roster, a.committer, journal, a.dir, o.Log)
	if err := a.startChain(ctx, c); err != nil {
		return nil, errors.Join(err, a.committer.Close(ctx))
	}
	a.edge = newEdge(c, o)
	a.answered = server.NewCounters(a.routes)
	a.health = a.newHealth(c)
	a.http = server.New(a.serverOptions(c, a.routes))
	if c.HTTP.OpsListen != "" {
		a.ops = server.NewOps(a.serverOptions(c, nil))
	}
	return a, nil
}

func (a *App) startChain(ctx context.Context, c config.Config) error {
	next, err := a.buildChain(c, nil)
	if err != nil {
		return err
	}
	return a.chains.Swap(ctx, next)
}

// Addr returns the address that the broker listens on; empty before Run does.
func (a *App) Addr() string {
	if addr := a.addr.Load(); addr != nil {
		return *addr
	}
	return ""
}

// Config returns the config that is in effect.
func (a *App) Config() config.Config { return *a.config.Load() }

// Chain returns the chain that runs now.
func (a *App) Chain() *chain.Chain { return a.chains.Current() }

package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/claudemesh/broker/core/api"
	"github.com/claudemesh/broker/core/caller"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/edge"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/issue"
	"github.com/claudemesh/broker/core/store"
)

// signalTell has a node push a frame to a member's sessions.
const signalTell = "tell"

// word is a frame for a member's sessions.
type word struct {
	Mesh   string `json:"mesh"`
	Member string `json:"member"`
	Frame  []byte `json:"frame"`
}

// Routes returns the HTTP operations that the broker answers.
func (a *App) Routes() []*api.Route { return a.routes }

// newRoutes returns the HTTP operations, whose handlers are in the registry.
func (a *App) newRoutes(c config.Config) []*api.Route {
	return api.All(a.registry, api.Deps{
		Store: a.options.Store, Tokens: a.options.Tokens, Directory: a.dir, Members: a.roster, Nodes: a, Config: c.HTTP, Log: a.log,
		Inbox: inbox{a}, Encode: encodePush, Streams: a.streams, Topics: feature.NewTopicBook(a.options.Store, members{a.roster, a}), StillGood: a.callers().StillGood,
		Issuer: issue.New(a.options.Store, a.options.Keys, a.url), Record: a.Record,
		Files: feature.NewFileBook(a.options.Store, members{a.roster, a}, a.dir, a.fileOptions(c)), Bytes: a.files,
		URL: a.url, Links: func() string { return c.HTTP.Links(a.url()) },
		Roster: a.roster, Keys: a.options.Keys, Poster: a, Webhooks: a.beyond.hooks,
	}).Routes()
}

// url returns the WebSocket URL that others reach this broker by.
func (a *App) url() string {
	if a.options.URL == nil {
		return a.Config().PublicURL
	}
	return a.options.URL()
}

// callers proves who asks over HTTP.
func (a *App) callers() *caller.Callers {
	return caller.New(a.options.Store, a.options.Tokens, time.Now)
}

// newEdge makes what every HTTP request passes first.
func newEdge(c config.Config, o Options) *edge.Edge {
	return edge.New(edge.OptionsOf(c.HTTP, o.Log))
}

// ForgetMesh drops what every node remembers of a mesh whose row has changed, and
// ends its sessions if it was archived.
func (a *App) ForgetMesh(meshID string) {
	a.meshChanged(meshID)
	a.signal(store.SignalMesh, meshID)
}

// Tell pushes a frame to every session of a member, on every node. A session that
// is away, or too slow, does not get it. Among several nodes this one, too, tells
// when it reads its own signal: whoever told at once as well would tell twice.
func (a *App) Tell(mesh, memberID string, frame []byte) {
	w := word{mesh, memberID, frame}
	if a.options.Cluster == nil {
		a.tellHere(w)
		return
	}
	a.signal(signalTell, w)
}

func (a *App) tellHere(w word) { a.dir.Tell(w.Mesh, w.Member, w.Frame) }

var _ api.Nodes = (*App)(nil)

// serveOps serves the second address, where there is one.
func (a *App) serveOps(ctx context.Context, served chan<- error) error {
	if a.ops == nil {
		return nil
	}
	addr := a.options.Config.HTTP.OpsListen
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen on http.ops_listen %s: %w", addr, err)
	}
	a.log.Info("operations", slog.String("listen", listener.Addr().String()))
	go func() { served <- a.ops.Serve(listener) }()
	return nil
}

// shutdown ends the HTTP servers, the one that operators look at last. Requests
// get a third of the time that is left; who still sends its body then is cut off,
// since others have things to finish too.
func (a *App) shutdown(ctx context.Context) error {
	err := a.shut(ctx, a.http)
	if a.ops != nil {
		err = errors.Join(err, a.shut(ctx, a.ops))
	}
	return err
}

func (a *App) shut(ctx context.Context, s *http.Server) error {
	ctx, cancel := third(ctx)
	defer cancel()
	err := s.Shutdown(ctx)
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	a.log.Warn("stopping with HTTP requests that are not over")
	return s.Close()
}

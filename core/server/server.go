// Package server is the broker's port: the WebSocket that peers connect to, and
// the HTTP routes beside it.
package server

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/claudemesh/broker/core/api"
	"github.com/claudemesh/broker/core/edge"
	"github.com/claudemesh/broker/core/exchange"
	"github.com/claudemesh/broker/core/hub"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/telemetry"
	"github.com/claudemesh/broker/sdk"
)

// maxHeader is how large a request's line and headers may be, in bytes.
const maxHeader = 16 << 10

// Timeouts are those of HTTP connections. A socket that was upgraded has its own.
type Timeouts struct {
	Header time.Duration // until the headers are there
	Read   time.Duration // until the body is there too
	Write  time.Duration // until the answer is written
	Idle   time.Duration // between requests
}

// Exchange takes envelopes through the chain.
type Exchange interface {
	Serve(p *hub.Peer) (last presence.View, ended bool)
	Run(ctx context.Context, env *sdk.Envelope) sdk.Decision

	// Refused remembers a request that was refused before it came to the chain.
	Refused(env *sdk.Envelope, d sdk.Decision)
}

var _ Exchange = (*exchange.Exchange)(nil)

// Guesses limits how often one address may be wrong.
type Guesses interface {
	// Allowed reports whether an address may try, and else how long it has to wait.
	Allowed(from netip.Addr) (wait time.Duration, ok bool)

	// Failed counts an attempt that was refused.
	Failed(from netip.Addr)
}

// Options are what the routes need to know.
type Options struct {
	Hub       *hub.Hub
	Exchange  Exchange
	Health    *Health // the same for all servers of a broker
	Metrics   func(telemetry.Sink)
	Routes    []*api.Route
	Pages     map[string]http.Handler // for people, by pattern, which may be a route's too; not operations on a mesh
	Counters  *Counters               // of Routes
	Guesses   Guesses
	Wrap      func(http.Handler) http.Handler // what every request passes first
	BodyBytes int64                           // largest body of a request
	OpsApart  bool                            // metrics are served at an address of their own
	Timeouts  Timeouts
	ConnState func(net.Conn, http.ConnState) // may be nil
	Left      func(last presence.View)       // called when a session ended with its connection
	Go        func(func())                   // starts the goroutine that a peer lives on
	Log       *slog.Logger
}

// New returns the server; the caller gives it a listener and shuts it down.
func New(o Options) *http.Server {
	s := &routes{Options: o}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws", s.socket)
	mux.HandleFunc("GET /ws/{$}", s.socket)
	if o.OpsApart {
		s.healthOn(mux)
	} else {
		s.opsOn(mux)
	}
	s.mount(mux)
	return s.server(o.Wrap(&router{mux: mux, s: s}))
}

// NewOps returns the server of the second address, which has what operators ask
// and nothing else.
func NewOps(o Options) *http.Server {
	s := &routes{Options: o}
	mux := http.NewServeMux()
	s.opsOn(mux)
	return s.server(o.Wrap(&router{mux: mux, s: s}))
}

// healthOn adds what load balancers ask.
func (s *routes) healthOn(mux *http.ServeMux) {
	mux.HandleFunc("GET /health", s.health)
	mux.HandleFunc("GET /health/ready", s.ready)
	mux.HandleFunc("GET /version", s.version)
}

// opsOn adds what operators ask.
func (s *routes) opsOn(mux *http.ServeMux) {
	s.healthOn(mux)
	mux.HandleFunc("GET /metrics", s.metrics)
}

func (s *routes) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: s.Timeouts.Header,
		ReadTimeout:       s.Timeouts.Read,
		WriteTimeout:      s.Timeouts.Write,
		IdleTimeout:       s.Timeouts.Idle,
		MaxHeaderBytes:    maxHeader,
		ConnState:         s.ConnState,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
}

type routes struct{ Options }

// socket upgrades a peer's connection. The peer lives on a goroutine of its
// own, so that what net/http holds for the request goes.
func (s *routes) socket(w http.ResponseWriter, r *http.Request) {
	if !asksForSocket(r) {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Sec-WebSocket-Version", "13")
		s.refuse(w, r, http.StatusUpgradeRequired, "upgrade_required", "this path is a WebSocket, version 13")
		return
	}
	p, err := s.Hub.Accept(w, r, edge.Local(r))
	if err != nil {
		s.Log.Debug("not upgraded", slog.String("remote", r.RemoteAddr), slog.Any("err", err))
		return
	}
	s.Go(func() {
		if last, ended := s.Exchange.Serve(p); ended {
			s.Left(last)
		}
	})
}

// asksForSocket reports whether a request is the beginning of a WebSocket.
func asksForSocket(r *http.Request) bool {
	return httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade") &&
		httpguts.HeaderValuesContainsToken(r.Header["Upgrade"], "websocket") &&
		r.Header.Get("Sec-WebSocket-Version") == "13" && r.Header.Get("Sec-WebSocket-Key") != ""
}

func (s *routes) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", telemetry.ContentType)
	t := telemetry.NewText(w)
	s.Metrics(t)
	if err := t.Err(); err != nil {
		s.Log.Debug("metrics not written", slog.Any("err", err))
	}
}

// reply writes a JSON body.
func (s *routes) reply(w http.ResponseWriter, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		s.Log.Error("reply not encoded", slog.Any("err", err))
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if _, err := w.Write(b); err != nil {
		s.Log.Debug("reply not written", slog.Any("err", err))
	}
}

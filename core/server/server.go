// Package server is the broker's port: the WebSocket that peers connect to, and
// the HTTP routes beside it.
package server

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/claudemesh/broker/core/exchange"
	"github.com/claudemesh/broker/core/hub"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/telemetry"
	"github.com/claudemesh/broker/sdk"
)

// Times of HTTP connections. A socket that was upgraded has its own.
const (
	headerTimeout = 10 * time.Second
	bodyTimeout   = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10
)

// Exchange takes envelopes through the chain.
type Exchange interface {
	Serve(p *hub.Peer) (last presence.View, ended bool)
	Run(ctx context.Context, env *sdk.Envelope) sdk.Decision
}

var _ Exchange = (*exchange.Exchange)(nil)

// Options are what the routes need to know.
type Options struct {
	Hub       *hub.Hub
	Exchange  Exchange
	Health    Health
	Metrics   func(*telemetry.Text)
	BodyBytes int64                    // largest body of a request
	Left      func(last presence.View) // called when a session ended with its connection
	Go        func(func())             // starts the goroutine that a peer lives on
	Log       *slog.Logger
}

// New returns the server; the caller gives it a listener and shuts it down.
func New(o Options) *http.Server {
	s := &routes{Options: o}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws", s.socket)
	mux.HandleFunc("GET /ws/{$}", s.socket)
	mux.HandleFunc("GET /health", s.health)
	mux.HandleFunc("GET /health/ready", s.ready)
	mux.HandleFunc("GET /metrics", s.metrics)
	mux.HandleFunc("POST /join", s.join)
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
}

type routes struct{ Options }

// socket upgrades a peer's connection. The peer lives on a goroutine of its
// own, so that what net/http holds for the request goes.
func (s *routes) socket(w http.ResponseWriter, r *http.Request) {
	p, err := s.Hub.Accept(w, r)
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

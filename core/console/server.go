package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"github.com/claudemesh/broker/core/config"
)

// Limits of the page's connections.
const (
	maxConns      = 128      // at once; others wait
	maxStrangers  = 96       // of these; the others are for those who have signed in
	maxHeader     = 16 << 10 // bytes of a request's line and headers
	maxBody       = 4 << 10  // bytes of a form
	maxWatchers   = 16       // pages that are sent what changes
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 30 * time.Second // a watcher has pushTimeout for each push in its place
	idleTimeout   = 15 * time.Second
	pushTimeout   = 10 * time.Second
)

// Options are what a Server is made of.
type Options struct {
	Listen   string         // host:port, as console.listen; port 0 picks one
	Token    config.Secret  // must not be empty
	Anywhere bool           // requests may name any host, because a reverse proxy stands before
	Proxies  []netip.Prefix // whose X-Forwarded-For is believed, as http.trusted_proxies
	Source   Source
	Log      *slog.Logger
}

// Server is the page. Its methods are called by one goroutine.
type Server struct {
	options  Options
	log      *slog.Logger
	http     *http.Server
	addr     net.Addr // nil before Start
	doors    *doors
	collect  *collector
	verifier *verifier
	page     *page
	places   *places
	watchers chan struct{} // a place for each

	stop    context.CancelFunc // ends what the server started
	stopped <-chan struct{}    // closed when it begins to stop
	running sync.WaitGroup
}

// New returns a page that Start opens.
func New(o Options) *Server {
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{
		options: o, log: o.Log, stop: stop, stopped: ctx.Done(),
		doors:    newDoors(o),
		verifier: newVerifier(ctx, o.Source, o.Log),
		page:     newPage(),
		places:   &places{},
		watchers: make(chan struct{}, maxWatchers),
	}
	s.collect = newCollector(ctx, o.Source, s.verifier, o.Log)
	s.http = &http.Server{
		Handler:           s.doors.edge.Wrap(s.guard(s.routes())),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnState:         s.places.changed,
		ConnContext:       s.places.remember,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	s.running.Go(func() { s.collect.run() })
	return s
}

// Start listens and returns; a goroutine serves. An error says what to do about
// the address. After one the Server is still to be closed.
func (s *Server) Start(ctx context.Context) error {
	if s.options.Token == "" {
		return errors.New("console: there is no token: set console.token or CLAUDEMESH_CONSOLE__TOKEN")
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.options.Listen)
	if err != nil {
		return fmt.Errorf("console.listen: %w: choose another address, or an empty one for no console", err)
	}
	s.addr = l.Addr()
	s.doors.name(s.addr)
	s.running.Go(func() {
		if err := s.http.Serve(netutil.LimitListener(l, maxConns)); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("the console stopped serving", slog.Any("err", err))
		}
	})
	return nil
}

// Addr returns where the page is, nil before Start.
func (s *Server) Addr() net.Addr { return s.addr }

// URL returns what to open in a browser, empty before Start.
func (s *Server) URL() string {
	if s.addr == nil {
		return ""
	}
	return "http://" + s.addr.String() + base
}

// Close ends the page: those who watch are told, verifications are given up. It
// returns when all has ended; connections that are still there when ctx ends are
// cut.
func (s *Server) Close(ctx context.Context) error {
	s.stop()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	s.running.Wait()
	s.collect.wait()
	s.verifier.wait()
	return err
}

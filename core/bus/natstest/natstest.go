// Package natstest gives tests real NATS servers, in the process of the test.
package natstest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// patience is how long a server gets to do what it must.
const patience = 30 * time.Second

// Server is a server that can be stopped and come back on the same port.
type Server struct {
	*server.Server // that runs, or ran last

	options server.Options
}

// Start runs a server on the loopback, until the test ends. Options that name no
// port get a free one.
func Start(tb testing.TB, o server.Options) *Server {
	tb.Helper()
	o.Host, o.NoLog, o.NoSigs = "127.0.0.1", true, true
	if o.Port == 0 {
		o.Port = FreePort(tb)
	}
	s := &Server{options: o}
	s.Again(tb)
	tb.Cleanup(s.Stop)
	return s
}

// Again starts the server after a Stop, and returns when it takes connections.
func (s *Server) Again(tb testing.TB) {
	tb.Helper()
	o := s.options // the server writes into its options
	running, err := server.NewServer(&o)
	if err != nil {
		tb.Fatal(err)
	}
	s.Server = running
	go running.Start()
	if !running.ReadyForConnections(patience) {
		tb.Fatal("the NATS server does not start")
	}
}

// Stop ends the server and waits until it is gone. A second Stop does nothing.
func (s *Server) Stop() {
	s.Shutdown()
	s.WaitForShutdown()
}

// URL is where the server is, or will be again.
func (s *Server) URL() string { return fmt.Sprintf("nats://127.0.0.1:%d", s.options.Port) }

// StartCluster runs servers that know each other, and waits until they do.
func StartCluster(tb testing.TB, size int) []*Server {
	tb.Helper()
	ports := make([]int, size)
	var routes []*url.URL
	for i := range ports {
		ports[i] = FreePort(tb)
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", ports[i])})
	}
	var servers []*Server
	for i, port := range ports {
		servers = append(servers, Start(tb, server.Options{
			ServerName: fmt.Sprintf("s%d", i), Routes: routes,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port},
		}))
	}
	for _, s := range servers {
		for end := time.Now().Add(patience); s.Peers() != size-1; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				tb.Fatalf("the NATS servers do not know each other after %v", patience)
			}
		}
	}
	return servers
}

// Peers counts the other servers that this one has a route to.
func (s *Server) Peers() int {
	routes, err := s.Routez(nil)
	if err != nil {
		return 0
	}
	ids := map[string]bool{}
	for _, r := range routes.Routes {
		ids[r.RemoteID] = true
	}
	return len(ids)
}

// FreePort returns a port of the loopback that nobody uses. It is below those
// that systems give to outgoing connections: a client that dials a stopped
// server again and again must not take its port, or reach itself.
func FreePort(tb testing.TB) int {
	tb.Helper()
	const first, count = 12000, 8000
	for range 100 {
		port := first + rand.IntN(count)
		l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil && l.Close() == nil {
			return port
		}
	}
	tb.Fatal("no free port in a hundred")
	return 0
}

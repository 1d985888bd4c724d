package nats_test

import (
	"fmt"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// patience is how long a server gets to do what it must.
const patience = 30 * time.Second

// natsServer is a real server in this process, which can be stopped and come
// back on the same port.
type natsServer struct {
	opts server.Options
	srv  *server.Server
}

func startServer(tb testing.TB, opts server.Options) *natsServer {
	tb.Helper()
	opts.Host, opts.NoLog, opts.NoSigs = "127.0.0.1", true, true
	if opts.Port == 0 {
		opts.Port = freePort(tb)
	}
	s := &natsServer{opts: opts}
	s.start(tb)
	tb.Cleanup(func() { s.stop(tb) })
	return s
}

func (s *natsServer) start(tb testing.TB) {
	tb.Helper()
	opts := s.opts // the server writes into its options
	srv, err := server.NewServer(&opts)
	if err != nil {
		tb.Fatal(err)
	}
	s.srv = srv
	go srv.Start()
	if !srv.ReadyForConnections(patience) {
		tb.Fatal("the NATS server does not start")
	}
}

func (s *natsServer) stop(testing.TB) {
	s.srv.Shutdown()
	s.srv.WaitForShutdown()
}

func (s *natsServer) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", s.opts.Port) }

// startCluster starts servers that know each other, and waits until they do.
func startCluster(tb testing.TB, size int) []*natsServer {
	tb.Helper()
	ports := make([]int, size)
	var routes []*url.URL
	for i := range ports {
		ports[i] = freePort(tb)
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", ports[i])})
	}
	var servers []*natsServer
	for i := range size {
		servers = append(servers, startServer(tb, server.Options{
			ServerName: fmt.Sprintf("s%d", i),
			Cluster:    server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: ports[i]},
			Routes:     routes,
		}))
	}
	for _, s := range servers {
		eventually(tb, "the servers know each other", func() bool { return s.srv.NumRoutes() > 0 && s.peers() == size-1 })
	}
	return servers
}

// peers counts the other servers that this one has a route to.
func (s *natsServer) peers() int {
	routes, err := s.srv.Routez(nil)
	if err != nil {
		return 0
	}
	ids := map[string]bool{}
	for _, r := range routes.Routes {
		ids[r.RemoteID] = true
	}
	return len(ids)
}

func freePort(tb testing.TB) int {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

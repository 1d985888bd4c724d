package main

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/claudemesh/broker/core/store/pgtest"
)

// TestReplicasAndNATSRestart restarts the only NATS server.
func TestReplicasAndNATSRestart(t *testing.T) {
	t.Parallel()
	s := startNATS(t, server.Options{})
	f := newFleet(t, fleetOptions{size: 2, database: pgtest.URL(t), bus: overNATS(s), members: 8})
	l := startLoad(t, f)
	for range *replicaRounds {
		l.flows()
		s.stop()
		l.flows()
		s.start(t)
		l.flows()
	}
	if n := l.finish(); n.lost > 0 || n.refused > 0 {
		t.Errorf("because NATS was away: %d connections closed, %d sends refused", n.lost, n.refused)
	}
}

// TestReplicasAndNATSFailover kills the node of a NATS cluster that the
// replicas use.
func TestReplicasAndNATSFailover(t *testing.T) {
	t.Parallel()
	nodes := startNATSCluster(t, 3)
	f := newFleet(t, fleetOptions{size: 3, database: pgtest.URL(t), bus: overNATS(nodes...), members: 8})
	l := startLoad(t, f)
	for range *replicaRounds {
		l.flows()
		used := mostUsed(nodes)
		used.stop()
		l.flows()
		used.start(t)
		l.flows()
	}
	if n := l.finish(); n.lost > 0 || n.refused > 0 {
		t.Errorf("because a NATS node was away: %d connections closed, %d sends refused", n.lost, n.refused)
	}
}

// TestReplicasWithoutBus leaves each replica alone with what it reads in the
// store.
func TestReplicasWithoutBus(t *testing.T) {
	t.Parallel()
	f := newFleet(t, fleetOptions{size: 2, database: pgtest.URL(t), bus: "type: local", members: 8})
	l := startLoad(t, f)
	l.flows()
	for _, r := range f.replicas {
		l.movesAt(r)
	}
	l.finish()
}

// onBothBuses runs a test over PostgreSQL's bus and over NATS, at once.
func onBothBuses(t *testing.T, test func(t *testing.T, bus string)) {
	t.Helper()
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, "type: postgres")
	})
	t.Run("nats", func(t *testing.T) {
		t.Parallel()
		test(t, overNATS(startNATS(t, server.Options{})))
	})
}

// overNATS is the config of a bus.
func overNATS(servers ...*natsServer) string {
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.url())
	}
	return `type: nats` + "\n" + `nats: {urls: ["` + strings.Join(urls, `", "`) + `"]}`
}

// natsServer is a real server in this process, which can be stopped and come
// back on the same port.
type natsServer struct {
	options server.Options
	running *server.Server
}

func startNATS(t *testing.T, o server.Options) *natsServer {
	t.Helper()
	o.Host, o.NoLog, o.NoSigs = "127.0.0.1", true, true
	o.Port = unusedPort(t)
	s := &natsServer{options: o}
	s.start(t)
	t.Cleanup(s.stop)
	return s
}

func (s *natsServer) start(t *testing.T) {
	t.Helper()
	o := s.options // the server writes into its options
	running, err := server.NewServer(&o)
	if err != nil {
		t.Fatal(err)
	}
	s.running = running
	go running.Start()
	if !running.ReadyForConnections(replicaPatience) {
		t.Fatal("the NATS server does not start")
	}
}

func (s *natsServer) stop() {
	s.running.Shutdown()
	s.running.WaitForShutdown()
}

func (s *natsServer) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", s.options.Port) }

// startNATSCluster starts servers that know each other, and waits until they do.
func startNATSCluster(t *testing.T, size int) []*natsServer {
	t.Helper()
	ports := make([]int, size)
	var routes []*url.URL
	for i := range ports {
		ports[i] = unusedPort(t)
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", ports[i])})
	}
	var nodes []*natsServer
	for i, port := range ports {
		nodes = append(nodes, startNATS(t, server.Options{
			ServerName: fmt.Sprintf("n%d", i), Routes: routes,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port},
		}))
	}
	for _, s := range nodes {
		eventually(t, "the NATS nodes know each other", func() bool { return s.others() == size-1 })
	}
	return nodes
}

// others counts the nodes that this one has a route to.
func (s *natsServer) others() int {
	routes, err := s.running.Routez(nil)
	if err != nil {
		return 0
	}
	ids := map[string]bool{}
	for _, r := range routes.Routes {
		ids[r.RemoteID] = true
	}
	return len(ids)
}

// mostUsed returns the node that most clients use.
func mostUsed(nodes []*natsServer) *natsServer {
	most := nodes[0]
	for _, s := range nodes {
		if s.running.NumClients() > most.running.NumClients() {
			most = s
		}
	}
	return most
}

func unusedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

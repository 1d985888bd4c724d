package pgtest

import "testing"

// Cluster is a server of a test's own, which it may stop and start. What it has
// committed, it keeps. Its methods are called by one goroutine at a time, but
// for [Cluster.URL], which is safe for concurrent use while the server runs.
type Cluster struct {
	tb     testing.TB
	server *server
}

// NewCluster makes a server and starts it, which takes a second or two. It is
// gone when tb ends. TEST_DATABASE_URL does not count here: nobody else's server
// is stopped.
func NewCluster(tb testing.TB) *Cluster {
	tb.Helper()
	bin, err := machine().binaries()
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	s, err := newServer(bin, durable)
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("the server's log ends with: %s", s.said(20))
		}
		if err := s.remove(); err != nil {
			tb.Errorf("pgtest: %v", err)
		}
	})
	return &Cluster{tb: tb, server: s}
}

// URL returns the URL of a new, empty database of the cluster.
func (c *Cluster) URL() string {
	c.tb.Helper()
	name, err := createDatabase(c.server.url("postgres"), c.tb.Name(), empty)
	if err != nil {
		c.tb.Fatalf("pgtest: %v", err)
	}
	return c.server.url(name)
}

// Stop ends the server as a crash would: sessions are cut, and what was not
// committed is lost. Nothing listens on its port when Stop returns. Stopping a
// stopped server does nothing.
func (c *Cluster) Stop(tb testing.TB) {
	tb.Helper()
	if err := c.server.stop(); err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
}

// Start starts a stopped server, on the same port and with the same data, and
// returns when it has recovered and accepts connections.
func (c *Cluster) Start(tb testing.TB) {
	tb.Helper()
	if c.server.postmaster != nil {
		return
	}
	if err := c.server.start(); err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
}

// Restart is [Cluster.Stop] and [Cluster.Start].
func (c *Cluster) Restart(tb testing.TB) {
	tb.Helper()
	c.Stop(tb)
	c.Start(tb)
}

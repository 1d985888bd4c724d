package nats_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/goleak"

	"github.com/claudemesh/broker/core/bus"
	"github.com/claudemesh/broker/core/bus/bustest"
	"github.com/claudemesh/broker/core/bus/nats"
	"github.com/claudemesh/broker/core/bus/natstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBus(t *testing.T) { bustest.Run(t, rig) }

func BenchmarkBus(b *testing.B) { bustest.Bench(b, rig) }

func rig(tb testing.TB) bustest.Rig {
	s := natstest.Start(tb, server.Options{})
	p := bustest.NewProxy(tb, s.URL()[len("nats://"):])
	url := "nats://" + p.Addr()
	if _, bench := tb.(*testing.B); bench {
		url = s.URL()
	}
	return bustest.Rig{
		Open:   func(tb testing.TB) bus.Bus { return open(tb, nats.Options{URLs: []string{url}}) },
		Stop:   func(testing.TB) { s.Stop() },
		Start:  s.Again,
		Freeze: func(testing.TB) { p.Freeze() },
		Thaw:   func(testing.TB) { p.Thaw() },
	}
}

// open returns a bus that logs into the test; its caller closes it.
func open(tb testing.TB, opts nats.Options) *nats.Bus {
	tb.Helper()
	opts.Log = slog.New(slog.NewTextHandler(tb.Output(), nil))
	b, err := nats.New(tb.Context(), opts)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// join returns a bus that ends with the test.
func join(tb testing.TB, opts nats.Options) *nats.Bus {
	tb.Helper()
	b := open(tb, opts)
	tb.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return b
}

// hears waits until a message passes from one bus to the other.
func hears(tb testing.TB, from, to bus.Bus) {
	tb.Helper()
	var heard atomic.Bool
	defer to.Subscribe("hears", func([]byte) { heard.Store(true) })()
	eventually(tb, "a message passes", func() bool { from.Publish("hears", nil); return heard.Load() })
}

func TestFailover(t *testing.T) {
	servers := natstest.StartCluster(t, 3)
	a := join(t, nats.Options{URLs: []string{servers[0].URL()}}) // learns of the others
	b := join(t, nats.Options{URLs: []string{servers[1].URL()}})
	c := join(t, nats.Options{URLs: []string{servers[2].URL()}})
	for _, other := range []bus.Bus{b, c} {
		hears(t, a, other)
		hears(t, other, a)
	}
	before := []uint64{a.Stats().Lost, b.Stats().Lost, c.Stats().Lost}
	servers[0].Stop()
	for i, each := range []*nats.Bus{a, b, c} {
		eventually(t, "everyone learns that a was away", func() bool { return each.Stats().Lost > before[i] })
	}
	for _, other := range []bus.Bus{b, c} {
		hears(t, a, other)
		hears(t, other, a)
	}
}

// Two servers of a cluster that lose each other are noticed by no client.
func TestPartition(t *testing.T) {
	route := natstest.FreePort(t)
	far := natstest.Start(t, server.Options{
		ServerName: "far", Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: route, NoAdvertise: true},
	})
	p := bustest.NewProxy(t, fmt.Sprintf("127.0.0.1:%d", route))
	near := natstest.Start(t, server.Options{
		ServerName: "near", Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: natstest.FreePort(t), NoAdvertise: true},
		Routes: []*url.URL{{Scheme: "nats", Host: p.Addr()}},
	})
	eventually(t, "the servers know each other", func() bool { return near.Peers() == 1 && far.Peers() == 1 })
	a := join(t, nats.Options{URLs: []string{near.URL()}})
	b := join(t, nats.Options{URLs: []string{far.URL()}})
	var lost atomic.Uint64
	b.OnLost(func() { lost.Add(1) })
	hears(t, a, b)
	before := lost.Load()

	p.Freeze()
	start := messages(near)
	eventually(t, "beats are on their way into nowhere", func() bool { return messages(near) >= start+3 })
	p.Cut()
	p.Thaw()
	eventually(t, "b learns of it", func() bool { return lost.Load() > before })
	if !a.Up() || !b.Up() {
		t.Error("a client was thrown out")
	}
	hears(t, a, b)
	hears(t, b, a)
}

// messages counts what a server has got from its clients and routes.
func messages(s *natstest.Server) int64 {
	v, err := s.Varz(nil)
	if err != nil {
		return 0
	}
	return v.InMsgs
}

func TestServerComesLater(t *testing.T) {
	port := natstest.FreePort(t)
	opts := server.Options{Port: port}
	url := fmt.Sprintf("nats://127.0.0.1:%d", port)
	a, b := join(t, nats.Options{URLs: []string{url}}), join(t, nats.Options{URLs: []string{url}})
	if a.Up() || b.Up() {
		t.Fatal("a bus is up without a server")
	}
	var lost atomic.Bool
	b.OnLost(func() { lost.Store(true) })
	var got atomic.Bool
	b.Subscribe("early", func([]byte) { got.Store(true) })
	natstest.Start(t, opts)
	eventually(t, "b is told to look", lost.Load)
	eventually(t, "a is up", a.Up)
	eventually(t, "a message arrives", func() bool { a.Publish("early", nil); return got.Load() })
}

func TestCredentials(t *testing.T) {
	s := natstest.Start(t, server.Options{Username: "broker", Password: "secret"})
	a := join(t, nats.Options{URLs: []string{s.URL()}, User: "broker", Password: "secret"})
	b := join(t, nats.Options{URLs: []string{s.URL()}, User: "broker", Password: "secret"})
	hears(t, a, b)
	if wrong := join(t, nats.Options{URLs: []string{s.URL()}, User: "broker", Password: "guess"}); wrong.Up() {
		t.Error("a wrong password is let in")
	}
}

func TestPrefixesAreApart(t *testing.T) {
	s := natstest.Start(t, server.Options{})
	a := join(t, nats.Options{URLs: []string{s.URL()}, Prefix: "one"})
	b := join(t, nats.Options{URLs: []string{s.URL()}, Prefix: "one"})
	c := join(t, nats.Options{URLs: []string{s.URL()}, Prefix: "two"})
	c.Subscribe("hears", func([]byte) { t.Error("a message crossed") })
	hears(t, a, b)
}

func TestOptionsThatCannotBeRight(t *testing.T) {
	tests := []struct {
		name string
		opts nats.Options
		want string
	}{
		{"it needs a server", nats.Options{}, "nats bus: no URL is given; name at least one server, such as nats://127.0.0.1:4222"},
		{
			"it needs a prefix that is a subject", nats.Options{URLs: []string{"nats://h"}, Prefix: "a.*"},
			`nats bus: the prefix "a.*" is not a subject; use letters, digits, _ and -, with dots between tokens`,
		},
		{
			"it needs the nkey's file", nats.Options{URLs: []string{"nats://h"}, NKeyFile: "no/such"},
			"nats bus: nkey file: nats: open no/such: no such file or directory",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := nats.New(t.Context(), tt.opts)
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

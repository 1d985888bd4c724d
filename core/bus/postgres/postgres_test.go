package postgres_test

import (
	"context"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/claudemesh/broker/core/bus"
	"github.com/claudemesh/broker/core/bus/bustest"
	"github.com/claudemesh/broker/core/bus/postgres"
	"github.com/claudemesh/broker/core/store/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// One cluster serves all parts, each with a database of its own.
func TestBus(t *testing.T) {
	c := pgtest.NewCluster(t)
	bustest.Run(t, func(tb testing.TB) bustest.Rig { tb.Helper(); return rig(tb, c) })
}

func BenchmarkBus(b *testing.B) {
	bustest.Bench(b, func(tb testing.TB) bustest.Rig {
		u := pgtest.URL(tb)
		return bustest.Rig{Open: func(tb testing.TB) bus.Bus { return open(tb, postgres.Options{URL: u}) }}
	})
}

func rig(tb testing.TB, c *pgtest.Cluster) bustest.Rig {
	tb.Helper()
	p, through := proxied(tb, c.URL())
	return bustest.Rig{
		Open:   func(tb testing.TB) bus.Bus { return open(tb, postgres.Options{URL: through}) },
		Stop:   c.Stop,
		Start:  c.Start,
		Freeze: func(testing.TB) { p.Freeze() },
		Thaw:   func(testing.TB) { p.Thaw() },
	}
}

// proxied returns the URL of the same database behind a proxy.
func proxied(tb testing.TB, direct string) (p *bustest.Proxy, through string) {
	tb.Helper()
	u, err := url.Parse(direct)
	if err != nil {
		tb.Fatal(err)
	}
	p = bustest.NewProxy(tb, u.Host)
	u.Host = p.Addr()
	return p, u.String()
}

// open returns a bus that logs into the test; its caller closes it.
func open(tb testing.TB, opts postgres.Options) *postgres.Bus {
	tb.Helper()
	opts.Log = slog.New(slog.NewTextHandler(tb.Output(), nil))
	b, err := postgres.New(tb.Context(), opts)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// join returns a bus that ends with the test.
func join(tb testing.TB, opts postgres.Options) *postgres.Bus {
	tb.Helper()
	b := open(tb, opts)
	tb.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return b
}

func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("waited in vain: %s", what)
		}
	}
}

// execute runs a statement on the database and returns how many rows it met.
func execute(tb testing.TB, url, statement string) int64 {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close(context.Background())
	tag, err := conn.Exec(tb.Context(), statement)
	if err != nil {
		tb.Fatal(err)
	}
	return tag.RowsAffected()
}

func TestKilledSessionsComeBack(t *testing.T) {
	u := pgtest.URL(t)
	a, b := join(t, postgres.Options{URL: u, NodeID: "a"}), join(t, postgres.Options{URL: u, NodeID: "b"})
	var lost, got atomic.Uint64
	b.OnLost(func() { lost.Add(1) })
	b.Subscribe("x", func([]byte) { got.Add(1) })
	a.Publish("x", nil)
	eventually(t, "a message arrives", func() bool { return got.Load() == 1 })
	for _, node := range []string{"a", "b"} {
		before, had := lost.Load(), got.Load()
		n := execute(t, u, `select pg_terminate_backend(pid) from pg_stat_activity
			where datname = current_database() and application_name = 'claudemesh bus `+node+`'`)
		if n != 2 {
			t.Fatalf("%s has %d connections, want 2", node, n)
		}
		eventually(t, "b is told of a loss after those of "+node, func() bool { return lost.Load() > before })
		eventually(t, "messages flow again", func() bool { a.Publish("x", nil); return got.Load() > had })
	}
}

func TestDeadNetworkIsNoticed(t *testing.T) {
	p, through := proxied(t, pgtest.URL(t))
	a := join(t, postgres.Options{URL: through})
	p.Freeze()
	eventually(t, "the bus sees it", func() bool { return !a.Up() })
	p.Thaw()
	eventually(t, "the bus is back", a.Up)
}

func TestNodesStartTogether(t *testing.T) {
	u := pgtest.URL(t)
	var g sync.WaitGroup
	for range 8 {
		g.Go(func() {
			if b := join(t, postgres.Options{URL: u}); !b.Up() {
				t.Error("a bus is not up")
			}
		})
	}
	g.Wait()
}

func TestStoredPayloadThatIsGone(t *testing.T) {
	u := pgtest.URL(t)
	a, b := join(t, postgres.Options{URL: u}), join(t, postgres.Options{URL: u})
	var lost, small atomic.Uint64
	b.OnLost(func() { lost.Add(1) })
	execute(t, u, `create rule nothing as on insert to broker.bus_payload do instead nothing`)
	b.Subscribe("x", func(data []byte) {
		if len(data) > 10 {
			t.Error("a payload came from nowhere")
		}
		small.Add(1)
	})
	a.Publish("x", make([]byte, bus.MaxPayload))
	a.Publish("x", nil)
	eventually(t, "what follows arrives", func() bool { return small.Load() == 1 })
	if lost.Load() != 1 {
		t.Errorf("%d losses are told, want 1", lost.Load())
	}
}

func TestForeignNotifications(t *testing.T) {
	u := pgtest.URL(t)
	a, b := join(t, postgres.Options{URL: u}), join(t, postgres.Options{URL: u})
	var got atomic.Uint64
	b.Subscribe("x", func([]byte) { got.Add(1) })
	execute(t, u, `select pg_notify('claudemesh', text) from unnest(array['', 'hello', 'AAAAAAAAAAAB', 'AAAAAAAAAAAB/w', '%']) t (text)`)
	a.Publish("x", nil)
	eventually(t, "what follows arrives", func() bool { return got.Load() == 1 })
}

func TestChannelsAreApart(t *testing.T) {
	u := pgtest.URL(t)
	a := join(t, postgres.Options{URL: u, Channel: `One "x"`})
	b := join(t, postgres.Options{URL: u, Channel: `One "x"`})
	c := join(t, postgres.Options{URL: u})
	var got atomic.Uint64
	b.Subscribe("x", func([]byte) { got.Add(1) })
	c.Subscribe("x", func([]byte) { t.Error("a message crossed") })
	a.Publish("x", nil)
	eventually(t, "a message arrives", func() bool { return got.Load() == 1 })
}

func TestOptionsThatCannotBeRight(t *testing.T) {
	if _, err := postgres.New(t.Context(), postgres.Options{}); err == nil {
		t.Error("a bus without a database is made")
	}
	if _, err := postgres.New(t.Context(), postgres.Options{URL: "postgres://h:port"}); err == nil {
		t.Error("a URL that cannot be read is taken")
	}
}

func TestDatabaseComesLater(t *testing.T) {
	c := pgtest.NewCluster(t)
	u := c.URL()
	c.Stop(t)
	a, b := join(t, postgres.Options{URL: u}), join(t, postgres.Options{URL: u})
	if a.Up() || b.Up() {
		t.Fatal("a bus is up without a database")
	}
	var lost, got atomic.Uint64
	b.OnLost(func() { lost.Add(1) })
	b.Subscribe("early", func([]byte) { got.Add(1) })
	c.Start(t)
	eventually(t, "b is told to look", func() bool { return lost.Load() > 0 })
	eventually(t, "a message arrives", func() bool { a.Publish("early", nil); return got.Load() > 0 })
}

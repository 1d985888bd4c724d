package hop_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/test/bufconn"

	"github.com/claudemesh/broker/core/pluginhost/hop"
	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// patience bounds every wait of these tests.
const patience = 20 * time.Second

// fake is a plugin whose every answer a test decides. Nil fields answer
// "continue" to everything.
type fake struct {
	pluginpb.UnimplementedPluginServer

	judge   func(*pluginpb.Batch) *pluginpb.Verdicts // nil: no answer
	observe func(*pluginpb.Outcomes)
	deaf    bool // answers no pings

	mu    sync.Mutex
	pings int
	sent  func(*pluginpb.PluginFrame) // writes to the stream that is open
}

func allow(b *pluginpb.Batch) *pluginpb.Verdicts {
	return &pluginpb.Verdicts{Seq: b.GetSeq(), Count: uint32(len(b.GetEnvelopes())), DefaultVerdict: 1}
}

func (f *fake) answer(b *pluginpb.Batch) *pluginpb.Verdicts {
	if f.judge == nil {
		return allow(b)
	}
	return f.judge(b)
}

func (f *fake) Process(s grpc.BidiStreamingServer[pluginpb.HostFrame, pluginpb.PluginFrame]) error {
	var writing sync.Mutex
	send := func(p *pluginpb.PluginFrame) {
		writing.Lock()
		defer writing.Unlock()
		_ = s.Send(p)
	}
	f.mu.Lock()
	f.sent = send
	f.mu.Unlock()
	for {
		in, err := s.Recv()
		if err != nil {
			return nil
		}
		switch {
		case in.GetPing() != nil:
			f.mu.Lock()
			f.pings++
			deaf := f.deaf
			f.mu.Unlock()
			if !deaf {
				send(&pluginpb.PluginFrame{Pong: &pluginpb.Pong{Nonce: in.GetPing().GetNonce()}})
			}
		case in.GetBatch() != nil:
			if v := f.answer(in.GetBatch()); v != nil {
				send(&pluginpb.PluginFrame{Verdicts: v})
			}
		case in.GetOutcomes() != nil:
			if f.observe != nil {
				f.observe(in.GetOutcomes())
			}
			send(&pluginpb.PluginFrame{Observed: &pluginpb.Observed{Seq: in.GetOutcomes().GetSeq()}})
		}
	}
}

func (f *fake) ProcessBatch(_ context.Context, b *pluginpb.Batch) (*pluginpb.Verdicts, error) {
	return f.answer(b), nil
}

func (f *fake) ObserveBatch(_ context.Context, o *pluginpb.Outcomes) (*pluginpb.Observed, error) {
	f.observe(o)
	return &pluginpb.Observed{Seq: o.GetSeq()}, nil
}

// process serves a fake until stop, as a process would.
func process(t testing.TB, f pluginpb.PluginServer) (conn *grpc.ClientConn, stop func()) {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	pluginpb.RegisterPluginServer(server, f)
	alive := health.NewServer()
	alive.SetServingStatus("plugin", grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, alive)
	go func() { _ = server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:plugin",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		server.Stop()
		_ = conn.Close()
	})
	t.Cleanup(stop)
	return conn, stop
}

func options() hop.Options {
	return hop.Options{
		Link: "guard", Deadline: 5 * time.Second, Window: 1024, Overload: hop.Backpressure,
		HoldMax: 5 * time.Second, HoldQueue: 100, HangAfter: 5 * time.Second,
		Breaker: hop.BreakerOptions{Failures: 50, Batches: 20, Misses: 3, Open: time.Minute},
	}
}

// newHop returns a hop that is closed with the test.
func newHop(t testing.TB, o hop.Options) *hop.Hop {
	t.Helper()
	h := hop.New(o)
	t.Cleanup(h.Close)
	return h
}

// up makes a hop to a fake.
func up(t testing.TB, o hop.Options, f *fake) *hop.Hop {
	t.Helper()
	h, _ := watched(t, o, f)
	return h
}

// watched is up with the reports about the process.
func watched(t testing.TB, o hop.Options, f *fake) (h *hop.Hop, broken <-chan string) {
	t.Helper()
	h = newHop(t, o)
	conn, _ := process(t, f)
	return h, connect(t, h, conn)
}

func connect(t testing.TB, h *hop.Hop, conn *grpc.ClientConn, change ...func(*hop.Session)) (broken <-chan string) {
	t.Helper()
	reports := make(chan string, 1000)
	s := hop.Session{
		Conn: conn, Instance: "1", Stream: true, Observes: true,
		Broken: func(reason string, _ error) { reports <- reason },
	}
	for _, c := range change {
		c(&s)
	}
	if err := h.Up(s); err != nil {
		t.Fatal(err)
	}
	return reports
}

// message is an envelope from a connection.
func message(conn uint64) *sdk.Envelope {
	return &sdk.Envelope{
		Kind: sdk.KindSend, Mesh: "mesh", Priority: sdk.PriorityNext, Size: 500, Arrived: time.Unix(0, 42),
		Sender: sdk.Sender{MemberID: "m-1", Member: sdk.Key{1}, Session: sdk.Key{2}, Name: "ada", Conn: conn, Remote: "::1"},
		Target: sdk.Target{Kind: sdk.TargetKey, Key: sdk.Key{3}},
	}
}

// until waits for a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", patience, what)
		}
		time.Sleep(time.Millisecond)
	}
}

// receive takes one value, or fails the test.
func receive[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
		panic("unreachable")
	}
}

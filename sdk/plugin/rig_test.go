package plugin_test

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// patience is how long a test waits for what has to come.
const patience = 10 * time.Second

// rig is a broker's side of a plugin that is served in memory.
type rig struct {
	pluginpb.PluginClient
	t     testing.TB
	ended chan error // what ServeOn returned
	stop  context.CancelFunc
}

func serve(t testing.TB, stages ...plugin.Stage) *rig {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	ctx, stop := context.WithCancel(context.Background())
	r := &rig{t: t, ended: make(chan error, 1), stop: stop}
	go func() {
		r.ended <- plugin.ServeOn(ctx, plugin.Plugin{Name: "tested", Version: "1.2.3", Stages: stages}, listener)
	}()
	conn, err := grpc.NewClient("passthrough:///memory",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(pluginpb.Codec{})))
	if err != nil {
		t.Fatal(err)
	}
	r.PluginClient = pluginpb.NewPluginClient(conn)
	t.Cleanup(func() {
		_ = conn.Close()
		stop()
		select {
		case <-r.ended:
		case <-time.After(patience):
			t.Error("the plugin did not end")
		}
	})
	return r
}

// context is the context of one call.
func (r *rig) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r.t.Cleanup(cancel)
	return ctx
}

// hello says that the broker takes logs.
func (r *rig) hello() *pluginpb.HelloResponse {
	r.t.Helper()
	resp, err := r.Hello(r.context(), &pluginpb.HelloRequest{Features: []string{"stream/1", "log/1"}})
	if err != nil {
		r.t.Fatal(err)
	}
	return resp
}

// configure makes an instance and fails the test when there is a diagnostic.
func (r *rig) configure(stage, instance, options string, granted ...string) *pluginpb.ConfigureResponse {
	r.t.Helper()
	resp, err := r.Configure(r.context(), &pluginpb.ConfigureRequest{
		Instance: instance, Stage: stage, Options: []byte(options), Granted: granted,
	})
	if err != nil || len(resp.Diagnostics) > 0 {
		r.t.Fatalf("configure %s: %v, %v", stage, resp.GetDiagnostics(), err)
	}
	return resp
}

// stream is one Process call.
type stream struct {
	grpc.BidiStreamingClient[pluginpb.HostFrame, pluginpb.PluginFrame]
	t      testing.TB
	cancel context.CancelFunc
}

func (r *rig) open(instance string) *stream {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r.t.Cleanup(cancel)
	s, err := r.Process(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	opened := &stream{BidiStreamingClient: s, t: r.t, cancel: cancel}
	opened.send(&pluginpb.HostFrame{Open: &pluginpb.Open{Instance: instance}})
	return opened
}

func (s *stream) send(frame *pluginpb.HostFrame) {
	s.t.Helper()
	if err := s.Send(frame); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stream) batch(seq uint64, envelopes ...*pluginpb.Envelope) {
	s.t.Helper()
	s.send(&pluginpb.HostFrame{Batch: &pluginpb.Batch{Seq: seq, DeadlineNanos: int64(patience), Envelopes: envelopes}})
}

func (s *stream) frame() *pluginpb.PluginFrame {
	s.t.Helper()
	frame, err := s.Recv()
	if err != nil {
		s.t.Fatal(err)
	}
	return frame
}

// verdicts returns the next verdicts and passes over logs.
func (s *stream) verdicts() *pluginpb.Verdicts {
	s.t.Helper()
	for {
		if frame := s.frame(); frame.Verdicts != nil {
			return frame.Verdicts
		}
	}
}

// configured serves one stage of one instance and opens its stream.
func configured(t testing.TB, st plugin.Stage, granted ...string) (*rig, *stream) {
	t.Helper()
	r := serve(t, st)
	r.hello()
	list, err := r.Describe(r.context(), &pluginpb.DescribeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	r.configure(list.Stages[0].Name, "one", "", granted...)
	return r, r.open("one")
}

// handle is a stage that is a function.
type handle func(context.Context, *sdk.Envelope) (sdk.Decision, error)

func (h handle) Handle(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	return h(ctx, env)
}

type none struct{}

// judge makes a kind of stage without options.
func judge(h handle, more ...plugin.Option) plugin.Stage {
	return plugin.Define("judge", none{}, func(none) (handle, error) { return h, nil }, more...)
}

func envelope(conn uint64, id string) *pluginpb.Envelope {
	return &pluginpb.Envelope{Kind: "send", Mesh: "mesh-1", Conn: conn, Priority: 1, Size: 100, MessageId: id}
}

func wait(t testing.TB, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("it did not happen")
	}
}

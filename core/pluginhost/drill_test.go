package pluginhost_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/grpc"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// actEnv tells this test program to be a plugin.
const actEnv = "PLUGINHOSTTEST"

// TestMain is the plugin of these tests when it is started as one.
func TestMain(m *testing.M) {
	switch act := os.Getenv(actEnv); {
	case os.Getenv(pluginpb.CookieKey) == "":
		os.Exit(m.Run())
	case act == "drill":
		plugin.Serve(drills())
	default:
		serveLiar(act)
	}
}

// Sizes of envelopes that make the drill stage do something.
const (
	sizeExit  = 1_000_001 // the process ends
	sizePanic = 1_000_002
	sizeStuck = 1_000_003 // Handle never returns
	sizeFail  = 1_000_004 // Handle returns an error
	sizeTrace = 1_000_005 // Handle makes a span of its own, and logs within it
)

// drillOptions are what tests say to the drill stage.
type drillOptions struct {
	Sleep plugin.Duration `json:"sleep" doc:"how long each envelope takes"`
	Deny  string          `json:"deny" doc:"deny everything with this reason"`
	Kinds []string        `json:"kinds" doc:"kinds that it wants; empty for all"`
	Bad   string          `json:"bad" doc:"anything here is refused"`
}

// Validate refuses what a schema cannot say.
func (o drillOptions) Validate() error {
	if o.Bad != "" {
		return &plugin.OptionError{Path: "bad", Message: "must be empty"}
	}
	return nil
}

type drill struct{ o drillOptions }

func newDrill(o drillOptions) (*drill, error) { return &drill{o}, nil }

func (d *drill) Match() sdk.Match {
	var m sdk.Match
	for _, k := range d.o.Kinds {
		m.Kinds = append(m.Kinds, sdk.Kind(k))
	}
	return m
}

func (d *drill) Handle(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	switch env.Size {
	case sizeExit:
		os.Exit(9)
	case sizePanic:
		panic("drilled")
	case sizeStuck:
		select {}
	case sizeFail:
		return sdk.Decision{}, fmt.Errorf("drilled")
	case sizeTrace:
		ctx, span := plugin.Tracer(ctx).Start(ctx, "look up")
		span.SetAttributes(attribute.Int("rows", 3))
		slog.InfoContext(ctx, "looked up")
		span.End()
	}
	if d.o.Sleep > 0 {
		time.Sleep(time.Duration(d.o.Sleep))
	}
	if d.o.Deny != "" {
		return sdk.Refuse(sdk.Reason(d.o.Deny), "drilled"), nil
	}
	env.Note("pid", fmt.Sprint(os.Getpid()))
	return sdk.Next(), nil
}

// noop lets everything through.
type noop struct{}

func (noop) Handle(context.Context, *sdk.Envelope) (sdk.Decision, error) { return sdk.Next(), nil }

// eagerOptions say what the eager stage does with what it is granted.
type eagerOptions struct {
	Drop bool `json:"drop" doc:"drop everything"`
}

// eager does more with more capabilities.
type eager struct{ o eagerOptions }

func newEager(o eagerOptions) (*eager, error) { return &eager{o}, nil }

func (e *eager) Granted(g plugin.Grants) error {
	if e.o.Drop && !g.Has(plugin.VerdictDrop) {
		return &plugin.OptionError{Path: "drop", Message: "needs verdict.drop"}
	}
	return nil
}

func (e *eager) Handle(context.Context, *sdk.Envelope) (sdk.Decision, error) {
	if e.o.Drop {
		return sdk.Decision{Verdict: sdk.Drop, Reason: "eager"}, nil
	}
	return sdk.Next(), nil
}

// watcher is the drill that only observes: it writes what it is told to the
// log.
type watcher struct{}

func (watcher) Done(*sdk.Envelope, sdk.Outcome) {}

func drills() plugin.Plugin {
	return plugin.Plugin{Name: "drills", Version: "1.2.3", Stages: []plugin.Stage{
		plugin.Define("drill", drillOptions{}, newDrill, plugin.Idempotent(), plugin.Summary("does what tests want")),
		keeperStage(),
		plugin.Define("careful", drillOptions{}, newDrill),
		plugin.Define("curious", drillOptions{}, newDrill, plugin.Needs(plugin.IdentityRead, plugin.PayloadHash)),
		plugin.Define("eager", eagerOptions{}, newEager, plugin.Wants(plugin.VerdictDrop, plugin.IdentityRead),
			plugin.Needs(plugin.PayloadHash), plugin.Env("PLUGINHOSTTEST_ONE", "PLUGINHOSTTEST_TWO")),
		plugin.Define("noop", struct{}{}, func(struct{}) (noop, error) { return noop{}, nil }, plugin.Idempotent()),
		plugin.Define("both", drillOptions{}, newBoth, plugin.Observes()),
		plugin.Define("moody", moodyOptions{}, newMoody, plugin.Idempotent()),
		plugin.DefineObserver("watcher", struct{}{}, func(struct{}) (watcher, error) { return watcher{}, nil }),
	}}
}

// liar is a plugin that answers what its name says, whatever the protocol
// wants.
type liar struct {
	pluginpb.UnimplementedPluginServer
	lie    string
	stderr *os.File // the real one
}

func (liar) Hello(context.Context, *pluginpb.HelloRequest) (*pluginpb.HelloResponse, error) {
	return &pluginpb.HelloResponse{Name: "liar", Version: "0.0.0", Features: []string{"stream/1", "trace/1"}}, nil
}

func (liar) Describe(context.Context, *pluginpb.DescribeRequest) (*pluginpb.DescribeResponse, error) {
	return &pluginpb.DescribeResponse{Stages: []*pluginpb.Stage{{Name: "drill", Judges: true, Idempotent: true}}}, nil
}

func (liar) Validate(context.Context, *pluginpb.ValidateRequest) (*pluginpb.ValidateResponse, error) {
	return &pluginpb.ValidateResponse{}, nil
}

func (l liar) Configure(ctx context.Context, q *pluginpb.ConfigureRequest) (*pluginpb.ConfigureResponse, error) {
	if l.lie == "slow-configure" && strings.HasSuffix(q.GetInstance(), "-1") {
		<-ctx.Done()
		return nil, grpcstatus.FromContextError(ctx.Err()).Err()
	}
	return &pluginpb.ConfigureResponse{}, nil
}

func (l liar) Drain(_ context.Context, q *pluginpb.DrainRequest) (*pluginpb.DrainResponse, error) {
	fmt.Fprintln(l.stderr, "drained", q.GetInstance())
	return &pluginpb.DrainResponse{}, nil
}

// ProcessBatch is what a plugin without a stream has.
func (liar) ProcessBatch(_ context.Context, b *pluginpb.Batch) (*pluginpb.Verdicts, error) {
	return &pluginpb.Verdicts{Seq: b.GetSeq(), Count: uint32(len(b.GetEnvelopes())), DefaultVerdict: 1}, nil
}

func (l liar) Process(s grpc.BidiStreamingServer[pluginpb.HostFrame, pluginpb.PluginFrame]) error {
	for {
		f, err := s.Recv()
		if err != nil {
			return err
		}
		b := f.GetBatch()
		if b == nil {
			continue
		}
		v := &pluginpb.Verdicts{Seq: b.GetSeq(), Count: uint32(len(b.GetEnvelopes())), DefaultVerdict: 1}
		switch l.lie {
		case "count":
			v.Count++
		case "seq":
			v.Seq += 10
		case "unset":
			v.DefaultVerdict = 0
		case "oversize":
			v.Exceptions = []*pluginpb.Verdict{{Verdict: 2, Text: string(make([]byte, 5<<20))}}
		case "drop": // a right that it was not granted
			v.DefaultVerdict = 3
		case "forge":
			if err := s.Send(&pluginpb.PluginFrame{Spans: forged(b)}); err != nil {
				return err
			}
		case "twice":
			if err := s.Send(&pluginpb.PluginFrame{Verdicts: v}); err != nil {
				return err
			}
		}
		if err := s.Send(&pluginpb.PluginFrame{Verdicts: v}); err != nil {
			return err
		}
	}
}

// forged are 100 spans in traces that the plugin was not asked about, and one
// that is right.
func forged(b *pluginpb.Batch) *pluginpb.Spans {
	now := time.Now().UnixNano()
	list := &pluginpb.Spans{}
	for i := range 100 {
		list.Spans = append(list.Spans, &pluginpb.Span{
			TraceId: bytes.Repeat([]byte{byte(i + 1)}, 16), SpanId: bytes.Repeat([]byte{7}, 8), ParentSpanId: bytes.Repeat([]byte{8}, 8),
			Name: "forged", StartNanos: now, EndNanos: now,
		})
	}
	var trace, parent []byte
	if _, err := fmt.Sscanf(b.GetEnvelopes()[0].GetTrace(), "00-%32x-%16x-01", &trace, &parent); err == nil {
		list.Spans = append(list.Spans, &pluginpb.Span{
			TraceId: trace, SpanId: bytes.Repeat([]byte{7}, 8), ParentSpanId: parent, Name: "right", StartNanos: now, EndNanos: now,
		})
	}
	return list
}

// serveLiar serves with go-plugin alone, with none of what the sdk forbids.
func serveLiar(lie string) {
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: goplugin.HandshakeConfig{
			ProtocolVersion: pluginpb.Major, MagicCookieKey: pluginpb.CookieKey, MagicCookieValue: pluginpb.CookieValue,
		},
		Plugins:    goplugin.PluginSet{pluginpb.PluginName: raw{liar: liar{lie: lie, stderr: os.Stderr}}},
		GRPCServer: goplugin.DefaultGRPCServer,
	})
}

// raw registers the liar.
type raw struct {
	goplugin.NetRPCUnsupportedPlugin
	liar liar
}

func (r raw) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	pluginpb.RegisterPluginServer(s, r.liar)
	return nil
}

func (raw) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

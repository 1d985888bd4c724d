package conform_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// faulty is a plugin written without the SDK, with one fault, or with none.
type faulty struct {
	pluginpb.UnimplementedPluginServer
	goplugin.NetRPCUnsupportedPlugin
	fault string
}

// serveFaulty is the main of such a plugin.
func serveFaulty(fault string) {
	f := &faulty{fault: fault}
	if fd, err := strconv.Atoi(os.Getenv(pluginpb.LifelineEnv)); err == nil && fault != "immortal" {
		go func() {
			_, _ = io.Copy(io.Discard, os.NewFile(uintptr(fd), "lifeline"))
			os.Exit(0)
		}()
	}
	if fault == "chatty" {
		os.Stdout.WriteString("hello\n")
	}
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{MagicCookieKey: pluginpb.CookieKey, MagicCookieValue: pluginpb.CookieValue},
		VersionedPlugins: map[int]goplugin.PluginSet{pluginpb.Major: {pluginpb.PluginName: f}},
		GRPCServer:       goplugin.DefaultGRPCServer,
	})
	if fault == "stubborn" {
		time.Sleep(time.Minute) // not to wait for something: to be there too long
	}
	os.Exit(0)
}

func (f *faulty) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	pluginpb.RegisterPluginServer(s, f)
	return nil
}

func (f *faulty) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("this is the plugin's side")
}

func (f *faulty) Hello(context.Context, *pluginpb.HelloRequest) (*pluginpb.HelloResponse, error) {
	r := &pluginpb.HelloResponse{
		Features: []string{"stream/1", "batch/1", "observe/1"}, Name: "faulty", Version: "1.0.0", Sdk: "none", Language: "go",
	}
	switch f.fault {
	case "version":
		r.Version = "one"
	case "unary":
		r.Features = []string{"batch/1"}
	case "traced unary":
		r.Features = []string{"batch/1", "trace/1"}
	}
	if strings.HasPrefix(f.fault, "traced") && f.fault != "traced unary" {
		r.Features = append(r.Features, "trace/1")
	}
	return r, nil
}

func (f *faulty) Describe(context.Context, *pluginpb.DescribeRequest) (*pluginpb.DescribeResponse, error) {
	s := &pluginpb.Stage{
		Name: "faulty", Summary: "has faults", Judges: true, Observes: !strings.HasSuffix(f.fault, "unary"),
		OptionsSchema:  []byte(`{"type": "object", "properties": {"most": {"type": "integer"}}, "additionalProperties": false}`),
		OptionsExample: []byte(`{"most": 3}`),
	}
	switch f.fault {
	case "observer": // no fault
		s.Judges = false
	case "schema":
		s.OptionsSchema = []byte(`{"type": "objekt"}`)
	case "example":
		s.OptionsExample = []byte(`{"most": "three"}`)
	case "any option":
		s.OptionsSchema = []byte(`{"type": "object"}`)
	case "summary":
		s.Summary = ""
	}
	return &pluginpb.DescribeResponse{Stages: []*pluginpb.Stage{s}}, nil
}

func (f *faulty) Validate(_ context.Context, r *pluginpb.ValidateRequest) (*pluginpb.ValidateResponse, error) {
	switch {
	case r.Stage != "faulty" && f.fault != "any stage":
		return nil, status.Error(codes.NotFound, "no such stage")
	case f.fault == "mute":
		return &pluginpb.ValidateResponse{Diagnostics: []*pluginpb.Diagnostic{{Path: "most"}}}, nil
	}
	return &pluginpb.ValidateResponse{}, nil
}

func (f *faulty) Configure(_ context.Context, r *pluginpb.ConfigureRequest) (*pluginpb.ConfigureResponse, error) {
	if r.Stage != "faulty" {
		return nil, status.Error(codes.NotFound, "no such stage")
	}
	return &pluginpb.ConfigureResponse{}, nil
}

func (f *faulty) judge(b *pluginpb.Batch) *pluginpb.Verdicts {
	v := &pluginpb.Verdicts{Seq: b.Seq, Count: uint32(len(b.Envelopes)), DefaultVerdict: 1}
	switch f.fault {
	case "count":
		v.Count++
	case "unset":
		v.DefaultVerdict = 0
	case "drop":
		v.Exceptions = []*pluginpb.Verdict{{Verdict: 3}}
	case "failing":
		v.Exceptions = []*pluginpb.Verdict{{Error: "panic: oh"}}
	}
	for i, e := range b.Envelopes {
		if span := f.span(e, byte(i+1)); span != nil {
			v.Spans = &pluginpb.Spans{Spans: append(v.GetSpans().GetSpans(), span)}
		}
	}
	return v
}

// span is the work for one envelope, of a plugin that says so.
func (f *faulty) span(e *pluginpb.Envelope, id byte) *pluginpb.Span {
	if !strings.HasPrefix(f.fault, "traced") || f.fault == "traced, and silent" || e.Trace == "" && f.fault != "traced, and unasked" {
		return nil
	}
	s := &pluginpb.Span{SpanId: bytes.Repeat([]byte{id}, 8), Name: "plugin/faulty", StartNanos: 1, EndNanos: 2}
	if e.Trace != "" {
		_, _ = fmt.Sscanf(e.Trace, "00-%32x-%16x-01", &s.TraceId, &s.ParentSpanId)
	}
	switch f.fault {
	case "traced, and forging":
		s.TraceId = bytes.Repeat([]byte{9}, 16)
	case "traced, and rootless":
		s.ParentSpanId = bytes.Repeat([]byte{9}, 8)
	case "traced, and backwards":
		s.EndNanos = 0
	}
	return s
}

func (f *faulty) known(instance string) error {
	if instance == "nobody" && f.fault != "any instance" {
		return status.Error(codes.NotFound, "no such instance")
	}
	return nil
}

func (f *faulty) ProcessBatch(_ context.Context, b *pluginpb.Batch) (*pluginpb.Verdicts, error) {
	if err := f.known(b.Instance); err != nil {
		return nil, err
	}
	return f.judge(b), nil
}

func (f *faulty) Process(s grpc.BidiStreamingServer[pluginpb.HostFrame, pluginpb.PluginFrame]) error {
	if strings.HasSuffix(f.fault, "unary") {
		return status.Error(codes.Unimplemented, "no streams")
	}
	for {
		frame, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := f.answer(s, frame); err != nil {
			return err
		}
	}
}

func (f *faulty) answer(s grpc.BidiStreamingServer[pluginpb.HostFrame, pluginpb.PluginFrame], frame *pluginpb.HostFrame) error {
	if err := f.known(frame.GetOpen().GetInstance()); err != nil {
		return err
	}
	out := &pluginpb.PluginFrame{}
	if frame.Ping != nil {
		out.Pong = &pluginpb.Pong{Nonce: frame.Ping.Nonce}
		if f.fault == "slow pong" {
			time.Sleep(1500 * time.Millisecond) // the fault itself
		}
	}
	if frame.Outcomes != nil && f.fault != "deaf" {
		out.Observed = &pluginpb.Observed{Seq: frame.Outcomes.Seq}
	}
	if frame.Batch != nil {
		out.Verdicts = f.judge(frame.Batch)
		if f.fault == "twice" {
			if err := s.Send(out); err != nil {
				return err
			}
		}
		if f.fault == "crash" {
			os.Exit(7)
		}
	}
	return s.Send(out)
}

func (f *faulty) Drain(context.Context, *pluginpb.DrainRequest) (*pluginpb.DrainResponse, error) {
	if f.fault == "unfinished" {
		return &pluginpb.DrainResponse{Unfinished: 2}, nil
	}
	return &pluginpb.DrainResponse{}, nil
}

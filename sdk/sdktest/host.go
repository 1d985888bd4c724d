package sdktest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/claudemesh/broker/sdk/plugin"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// host is the broker's side of a plugin that is served in memory.
type host struct {
	findings
	pluginpb.PluginClient
	ctx     context.Context // of all calls; long enough for a check
	stages  []*pluginpb.Stage
	options map[string][]byte
	wanting bool // stages are granted what they want too
	greeted *pluginpb.HelloResponse

	cancel context.CancelFunc
	conn   *grpc.ClientConn
	stop   context.CancelFunc
	served chan error
}

// serve serves a plugin and asks what it is.
func serve(p plugin.Plugin, options map[string][]byte) (*host, error) {
	listener := bufconn.Listen(1 << 20)
	serving, stop := context.WithCancel(context.Background())
	h := &host{options: options, stop: stop, served: make(chan error, 1)}
	go func() { h.served <- plugin.ServeOn(serving, p, listener) }()
	conn, err := grpc.NewClient("passthrough:///memory",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(pluginpb.Codec{})))
	if err != nil {
		stop()
		return nil, err
	}
	h.conn, h.PluginClient = conn, pluginpb.NewPluginClient(conn)
	h.ctx, h.cancel = context.WithTimeout(context.Background(), 4*patience)
	described, err := h.Describe(h.ctx, &pluginpb.DescribeRequest{})
	if err == nil {
		h.greeted, err = h.Hello(h.ctx, &pluginpb.HelloRequest{
			Features:        []string{"stream/1", "batch/1", "observe/1", "log/1", "trace/1", "kinds/1", "sdktest/1"},
			MaxMessageBytes: pluginpb.MaxMessage, BrokerVersion: "0.0.0",
		})
	}
	if err != nil {
		h.close()
		return nil, err
	}
	for _, s := range described.Stages {
		if s.Name != probeName {
			h.stages = append(h.stages, s)
		}
	}
	return h, nil
}

// close ends the plugin.
func (h *host) close() {
	h.cancel()
	_ = h.conn.Close()
	h.stop()
	timer := time.NewTimer(2 * patience)
	defer timer.Stop()
	select {
	case err := <-h.served:
		h.addErr("serve", err)
	case <-timer.C:
		h.add("the plugin does not end")
	}
}

// optionsOf returns what a stage is run with.
func (h *host) optionsOf(s *pluginpb.Stage) []byte {
	if given, ok := h.options[s.Name]; ok {
		return given
	}
	return s.OptionsExample
}

// grants returns what a stage is granted.
func (h *host) grants(s *pluginpb.Stage) []string {
	if h.wanting {
		return slices.Concat(s.Capabilities, s.OptionalCapabilities)
	}
	return s.Capabilities
}

// configure makes an instance of a stage, which has the instance's name.
func (h *host) configure(s *pluginpb.Stage, instance string) (*pluginpb.ConfigureResponse, error) {
	resp, err := h.Configure(h.ctx, &pluginpb.ConfigureRequest{
		Instance: instance, Stage: s.Name, Link: s.Name, Options: h.optionsOf(s), Granted: h.grants(s), InFlight: 1024,
	})
	if err != nil {
		return nil, err
	}
	for _, d := range resp.Diagnostics {
		if !d.Warning {
			return nil, fmt.Errorf("%s: %s; give other options with sdktest.StageOptions", d.Path, d.Message)
		}
	}
	return resp, nil
}

// stream is the stream of one instance. Logs are passed over.
type stream struct {
	grpc.BidiStreamingClient[pluginpb.HostFrame, pluginpb.PluginFrame]
	cancel context.CancelFunc
	match  *pluginpb.Match
}

// open configures an instance and opens its stream.
func (h *host) open(s *pluginpb.Stage, instance string) (*stream, error) {
	resp, err := h.configure(s, instance)
	if err != nil {
		return nil, fmt.Errorf("configure: %w", err)
	}
	ctx, cancel := context.WithTimeout(h.ctx, 2*patience)
	str, err := h.Process(ctx)
	if err == nil {
		err = str.Send(&pluginpb.HostFrame{Open: &pluginpb.Open{Instance: instance}})
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return &stream{BidiStreamingClient: str, cancel: cancel, match: resp.Match}, nil
}

// each runs do with a stream for every stage that judges.
func (h *host) each(do func(s *pluginpb.Stage, str *stream) error) {
	for _, s := range h.stages {
		if !s.Judges {
			continue
		}
		h.addErr(s.Name, h.with(s, "one", func(str *stream) error { return do(s, str) }))
	}
}

func (h *host) with(s *pluginpb.Stage, instance string, do func(*stream) error) error {
	str, err := h.open(s, s.Name+"/"+instance)
	if err != nil {
		return err
	}
	defer str.cancel()
	return do(str)
}

// frame returns the next frame that is no log.
func (s *stream) frame() (*pluginpb.PluginFrame, error) {
	for {
		frame, err := s.Recv()
		if err != nil {
			return nil, err
		}
		if frame.Verdicts != nil || frame.Pong != nil || frame.Observed != nil || frame.Credit != nil {
			return frame, nil
		}
	}
}

func (s *stream) verdicts() (*pluginpb.Verdicts, error) {
	for {
		frame, err := s.frame()
		if err != nil {
			return nil, err
		}
		if frame.Verdicts != nil {
			return frame.Verdicts, nil
		}
	}
}

func (s *stream) batch(seq uint64, deadline time.Duration, envelopes ...*pluginpb.Envelope) error {
	return s.Send(&pluginpb.HostFrame{Batch: &pluginpb.Batch{Seq: seq, DeadlineNanos: int64(deadline), Envelopes: envelopes}})
}

var errNoCount = errors.New("it answered with another number of envelopes, or without a default")

// wellFormed says what a broker would refuse to read, and what is no decision.
func wellFormed(v *pluginpb.Verdicts, n int) error {
	if v.Count != uint32(n) || v.DefaultVerdict == 0 || v.DefaultVerdict > 3 {
		return fmt.Errorf("%w: %v for %d", errNoCount, v, n)
	}
	last := -1
	for _, e := range v.Exceptions {
		switch {
		case int(e.Index) <= last || int(e.Index) >= n:
			return fmt.Errorf("exception %d follows %d, of %d", e.Index, last, n)
		case e.Verdict > 3:
			return fmt.Errorf("envelope %d: there is no verdict %d", e.Index, e.Verdict)
		case e.Verdict == 0:
			return fmt.Errorf("envelope %d: the stage failed: %s", e.Index, e.Error)
		case e.Verdict > 1 && e.Reason == "":
			return fmt.Errorf("envelope %d: verdict %d without a reason; metrics and audit count by it", e.Index, e.Verdict)
		}
		last = int(e.Index)
	}
	return nil
}

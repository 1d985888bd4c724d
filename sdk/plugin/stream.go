package plugin

import (
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// Process carries the envelopes of one instance, whose life ends with the
// stream: a broker that comes back configures a new one.
func (s *service) Process(stream grpc.BidiStreamingServer[pluginpb.HostFrame, pluginpb.PluginFrame]) error {
	frame, err := stream.Recv()
	if err != nil {
		return err
	}
	if frame.Open == nil {
		return status.Error(codes.InvalidArgument, "the first frame of a stream has to be Open")
	}
	in, err := s.claim(frame.Open.Instance)
	if err != nil {
		return err
	}
	defer s.forget(in)
	out := newOutbox(in, stream)
	s.logs.connect(out)
	defer s.logs.disconnect(out)
	in.traces.connect(out)
	go out.run()
	received := make(chan error, 1)
	go func() { received <- receive(in, out, stream, frame) }()
	select {
	case err = <-received:
	case <-out.ended: // nothing can be sent: to return ends the loop too
		in.abandon()
		return status.Errorf(codes.Aborted, "send: %v", out.failed)
	}
	s.part(in, err)
	out.close()
	<-out.ended // a send returns at the latest when its stream ends
	return err
}

// part ends an instance. A broker that closed its side in order gets the
// verdicts of what is in hand; one that broke off wants none.
func (s *service) part(in *instance, err error) {
	if err != nil {
		in.abandon()
		return
	}
	in.end()
	timer := time.NewTimer(in.timeToStop() + answerTime)
	defer timer.Stop()
	select {
	case <-in.stopped:
	case <-timer.C:
		in.abandon()
	}
}

// receive is the loop that reads a stream. It waits for nothing else, so that
// the answer to a Ping proves that the loop runs.
func receive(in *instance, out *outbox, stream grpc.BidiStreamingServer[pluginpb.HostFrame, pluginpb.PluginFrame], first *pluginpb.HostFrame) error {
	for frame := first; ; {
		if err := handle(in, out, frame); err != nil {
			return status.Error(codes.ResourceExhausted, err.Error())
		}
		var err error
		if frame, err = stream.Recv(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

func handle(in *instance, out *outbox, frame *pluginpb.HostFrame) error {
	if frame.Ping != nil {
		out.pong(frame.Ping.Nonce)
	}
	if frame.Cancel != nil {
		in.callOff(frame.Cancel.Seqs)
	}
	if frame.Batch != nil {
		if err := in.submit(frame.Batch, out); err != nil {
			return err
		}
	}
	if frame.Outcomes != nil {
		return in.tell(frame.Outcomes, out)
	}
	return nil
}

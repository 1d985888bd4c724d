package plugin

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// caller waits for the answer to one call.
type caller struct {
	judged chan *batch
	seen   chan *outcomes
}

func (c caller) answer(b *batch)      { c.judged <- b }
func (c caller) observed(o *outcomes) { c.seen <- o }

// ProcessBatch judges one batch. Batches of calls at the same time are judged
// in the order in which the calls came here, which no connection promises.
func (s *service) ProcessBatch(ctx context.Context, pb *pluginpb.Batch) (*pluginpb.Verdicts, error) {
	in, err := s.find(pb.Instance)
	if err != nil {
		return nil, err
	}
	s.logs.giveUp(in)
	c := caller{judged: make(chan *batch, 1)}
	if err := in.submit(pb, c); err != nil {
		return nil, status.Error(codes.ResourceExhausted, err.Error())
	}
	var b *batch
	select {
	case b = <-c.judged:
	case <-ctx.Done():
		in.callOff([]uint64{pb.Seq})
		b = <-c.judged
	}
	// gRPC encodes the message after we returned, so the batch is not used again.
	verdicts := b.conclude()
	verdicts.Spans = in.traces.take()
	in.release(b, false)
	return verdicts, nil
}

// ObserveBatch gives outcomes to the observer and returns when it has seen
// them.
func (s *service) ObserveBatch(_ context.Context, pb *pluginpb.Outcomes) (*pluginpb.Observed, error) {
	in, err := s.find(pb.Instance)
	if err != nil {
		return nil, err
	}
	s.logs.giveUp(in)
	c := caller{seen: make(chan *outcomes, 1)}
	if err := in.tell(pb, c); err != nil {
		return nil, status.Error(codes.ResourceExhausted, err.Error())
	}
	in.countOut(<-c.seen)
	return &pluginpb.Observed{Seq: pb.Seq}, nil
}

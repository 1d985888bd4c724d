package plugin

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// Answer answers one request of a kind that the instance's stage owns.
func (s *service) Answer(ctx context.Context, req *pluginpb.AnswerRequest) (*pluginpb.AnswerResponse, error) {
	in, err := s.find(req.Instance)
	if err != nil {
		return nil, err
	}
	st, err := s.stage(in.stage)
	if err != nil {
		return nil, err
	}
	k := st.kind(req.GetEnvelope().GetKind())
	if k == nil {
		return nil, status.Errorf(codes.InvalidArgument, "the stage %s does not own the kind %q", in.stage, req.GetEnvelope().GetKind())
	}
	if err := in.admitAnswer(); err != nil {
		return nil, err
	}
	defer in.answered()
	ctx, cancel := in.answering(ctx, time.Duration(req.DeadlineNanos))
	defer cancel()
	return in.answer(ctx, k, req)
}

// answering returns the context of an answer: it ends with the call, with the
// deadline, and when the instance is abandoned.
func (in *instance) answering(call context.Context, within time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(in.within(call))
	stop := context.AfterFunc(in.ctx, cancel)
	if within <= 0 {
		return ctx, func() { stop(); cancel() }
	}
	ctx, expire := context.WithTimeout(ctx, within)
	return ctx, func() { stop(); expire(); cancel() }
}

// answer calls the handler, and makes a response of what it says.
func (in *instance) answer(ctx context.Context, k *kind, req *pluginpb.AnswerRequest) (*pluginpb.AnswerResponse, error) {
	var span trace.Span
	if t := req.Envelope.Trace; t != "" && in.traces != nil {
		ctx, span = in.traces.begin(ctx, t)
	}
	var v view
	env := v.show(req.Envelope, in.granted)
	a := Asker{Kind: env.Kind, Mesh: env.Mesh, Sender: env.Sender, Size: env.Size, Arrived: env.Arrived}
	reply, err := in.ask(ctx, k, a, req.Fields)
	resp := &pluginpb.AnswerResponse{}
	if err == nil {
		resp.Type = reply.FrameType()
		resp.Fields, err = encodeReply(reply)
	}
	refusal, refused := errors.AsType[*Refusal](err)
	if refused {
		resp, err = &pluginpb.AnswerResponse{Reason: cut(refusal.Reason), Text: cut(refusal.Text)}, nil
	}
	if span != nil {
		conclude(span, decisionOf(refused), err)
		in.traces.flush()
	}
	switch {
	case err == nil:
		return resp, nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, status.Error(codes.DeadlineExceeded, cut(err.Error()))
	default:
		return nil, status.Error(codes.Aborted, cut(err.Error()))
	}
}

// decisionOf is how a span names what became of a request.
func decisionOf(refused bool) sdk.Decision {
	if refused {
		return sdk.Decision{Verdict: sdk.Deny}
	}
	return sdk.Decision{Verdict: sdk.Answer}
}

// ask is the author's handler, with a panic as an error.
func (in *instance) ask(ctx context.Context, k *kind, a Asker, fields []byte) (r Reply, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = in.service.panicked(ctx, "the answer to "+k.name, in, v)
		}
	}()
	return k.answer(ctx, in.whole, a, fields)
}

// admitAnswer counts a request in, which a drain waits for.
func (in *instance) admitAnswer() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.ending:
		return status.Error(codes.Unavailable, "the instance is ending")
	case in.held >= mostHeld:
		return status.Error(codes.ResourceExhausted, errTooMany.Error())
	}
	in.held++
	return nil
}

func (in *instance) answered() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.countOutLocked(1)
}

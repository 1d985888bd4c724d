package hop

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// Field numbers of an AnswerRequest; see those of a batch.
const (
	answerInstance protowire.Number = 1
	answerDeadline protowire.Number = 2
	answerEnvelope protowire.Number = 3
	answerFields   protowire.Number = 4
)

// answers is the road of requests that the plugin answers: single calls, beside
// the lane, of which any number may be under way.
type answers struct {
	inHand  atomic.Int64
	suspect atomic.Bool // somebody looks whether the process is alive
}

// desk is where a process takes requests: its connection and its instance, with
// breakers of its own.
type desk struct {
	conn     grpc.ClientConnInterface
	instance string
	trips    *trips
	broken   func(reason string, err error)
}

func newDesk(s Session, o Options) *desk {
	return &desk{conn: s.Conn, instance: s.Instance, trips: newTrips(o), broken: s.Broken}
}

// Answer brings a request across and returns what the plugin says. Without a
// process, and while the mesh's breaker is open, it fails at once; it never waits longer
// than ctx and the deadline allow.
func (h *Hop) Answer(ctx context.Context, env *sdk.Envelope, fields []byte) (*pluginpb.AnswerResponse, error) {
	d, err := h.desk()
	if err != nil {
		return nil, h.failed(err)
	}
	if h.answers.inHand.Add(1) > int64(h.o.Window) {
		h.answers.inHand.Add(-1)
		return nil, h.failed(errShed)
	}
	defer h.answers.inHand.Add(-1)
	report, ok := d.trips.allow(env.Mesh, env.Sender.MemberID)
	if !ok {
		return nil, h.failed(errBreaker)
	}
	resp, err := h.answer(ctx, d, env, fields)
	report(blame(ctx, err))
	return resp, h.failed(err)
}

// desk returns the one of the process that runs.
func (h *Hop) desk() (*desk, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, errClosed
	case h.lane == nil || h.front == nil:
		return nil, down(h.why)
	}
	return h.front, nil
}

// blame returns what the breaker is told: a crash is dealt with by a restart, and
// who gave up says nothing about the plugin. A handler that fails has answered in
// time: what fails may be the request, and no member shuts others out with that.
func blame(ctx context.Context, err error) error {
	failed, ok := errors.AsType[*Error](err)
	switch {
	case errors.Is(err, errCrash), err != nil && ctx.Err() != nil:
		return errLost
	case ok && failed.Failure == FailStage:
		return nil
	default:
		return err
	}
}

func (h *Hop) answer(ctx context.Context, d *desk, env *sdk.Envelope, fields []byte) (*pluginpb.AnswerResponse, error) {
	span := sampledIn(ctx)
	view, err := h.view.appendView(ctx, nil, env, span)
	if err != nil {
		return nil, err
	}
	if h.o.Spans != nil && span.IsSampled() {
		h.recent.add(span, time.Now())
	}
	if n := len(view) + len(fields); n > maxView {
		return nil, tooLarge(n)
	}
	b := appendString(nil, answerInstance, d.instance)
	b = appendVarint(b, answerDeadline, uint64(h.o.Deadline))
	b = protowire.AppendBytes(protowire.AppendTag(b, answerEnvelope, protowire.BytesType), view)
	b = protowire.AppendBytes(protowire.AppendTag(b, answerFields, protowire.BytesType), fields)
	req, resp := raw(b), new(pluginpb.AnswerResponse)
	within, cancel := context.WithTimeout(ctx, h.o.Deadline)
	defer cancel()
	if err := d.conn.Invoke(within, pluginpb.Plugin_Answer_FullMethodName, &req, resp, grpc.ForceCodecV2(h.codec)); err != nil {
		return nil, h.answerFailed(ctx, within, d, err)
	}
	return resp, nil
}

// answerFailed says why there is no answer. A handler may fail because the deadline,
// which ends within, has ended it: then that is why.
func (h *Hop) answerFailed(ctx, within context.Context, d *desk, err error) error {
	s := status.Convert(err)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case s.Code() == codes.DeadlineExceeded, s.Code() == codes.Aborted && within.Err() != nil:
		h.suspect(d)
		return errDeadline
	case s.Code() == codes.Unavailable, s.Code() == codes.Canceled:
		return errCrash
	case s.Code() == codes.ResourceExhausted, s.Code() == codes.Unimplemented, s.Code() == codes.InvalidArgument:
		h.counters.breaches.Add(1)
		return breach("the call was refused: %s", s.Message())
	default:
		return &Error{FailStage, errors.New(s.Message())}
	}
}

// Refused is the decision of a request that the plugin refused.
func (h *Hop) Refused(resp *pluginpb.AnswerResponse) sdk.Decision {
	d := h.decision(&pluginpb.Verdict{Verdict: uint32(sdk.Deny), Reason: resp.GetReason(), Text: resp.GetText()})
	if resp.GetText() == "" {
		d.Text = h.o.Link + " does not answer that"
	}
	return d
}

// Breach counts an answer against the protocol, and returns the failure. The
// process goes on: what it owes others is not lost for one request.
func (h *Hop) Breach(why error) error {
	h.counters.breaches.Add(1)
	return h.failed(&Error{FailProtocol, why})
}

// suspect looks whether a process that let a deadline pass is alive, and has it
// replaced when it is not. One look at a time is enough.
func (h *Hop) suspect(d *desk) {
	if !h.answers.suspect.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer h.answers.suspect.Store(false)
		ctx, cancel := context.WithTimeout(context.Background(), h.o.HangAfter)
		defer cancel()
		_, err := grpc_health_v1.NewHealthClient(d.conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "plugin"})
		if status.Code(err) == codes.DeadlineExceeded {
			report(d.broken, BrokenHang, fmt.Errorf("it has not answered a request, and been silent for %v after that", h.o.HangAfter))
		}
	}()
}

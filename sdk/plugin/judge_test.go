package plugin

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

type judgeFunc func(context.Context, *sdk.Envelope) (sdk.Decision, error)

func (f judgeFunc) Handle(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	return f(ctx, env)
}

// Judging takes no memory once it has run: whatever the stage does, what it
// takes was kept from the batch before.
func TestJudgeAllocates(t *testing.T) {
	key := make([]byte, sdk.KeySize)
	key[0] = 1
	pb := &pluginpb.Envelope{
		Kind: "send", Conn: 1, Target: 2, TargetKey: key, Member: key, Session: key, Payload: key,
		Attributes: []*pluginpb.Attribute{{Key: "k", Value: "v"}},
		Audience:   []*pluginpb.Recipient{{Member: key}, {Member: key, Session: key}},
	}
	stage := judgeFunc(func(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
		if _, err := env.Audience(ctx); err != nil {
			return sdk.Decision{}, err
		}
		env.Narrow(func(r *sdk.Recipient) bool { return r.Session.IsZero() })
		env.Note("seen", "yes")
		env.Priority = sdk.PriorityLow
		if len(env.Payload()) == 0 || ctx.Err() != nil {
			return sdk.Decision{}, nil
		}
		return sdk.Refuse("no", "not now"), nil
	})
	s := newService(Plugin{}, io.Discard, func(error) {})
	s.traced.Store(true) // these envelopes are not sampled
	req := &pluginpb.ConfigureRequest{Instance: "one", Granted: []string{"audience.read", "priority.write"}}
	in := newInstance(s, req, parts{judge: stage, whole: stage})
	defer in.cancel()
	in.workers = make([]*worker, 1)
	w := &worker{in: in}
	b := &batch{ctx: &callContext{Context: context.Background()}}
	frame := &pluginpb.Batch{Seq: 1, DeadlineNanos: 1e9, Envelopes: []*pluginpb.Envelope{pb, pb, pb}}
	now := time.Now()
	allocated := testing.AllocsPerRun(100, func() {
		b.reset(frame, now)
		b.state.Store(begun)
		w.judgePart(b)
		if v := b.conclude(); len(v.Exceptions) != 3 || v.Exceptions[2].Verdict != 2 || len(v.Exceptions[2].LeaveOut) != 1 {
			t.Fatalf("verdicts: %v", v)
		}
	})
	if allocated > 0 {
		t.Errorf("%v allocations for 3 envelopes, want none", allocated)
	}
}

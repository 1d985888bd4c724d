package main

import (
	"context"
	"time"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
	"github.com/claudemesh/broker/stages/ratelimit"
)

// served are the built-in stages that need nothing of the broker.
func served() map[string]func() plugin.Stage {
	return map[string]func() plugin.Stage{
		"no-op": func() plugin.Stage {
			return plugin.Define("no-op", struct{}{}, func(struct{}) (noOp, error) { return noOp{}, nil },
				plugin.Summary("lets everything pass, to measure what a plugin costs"), plugin.Idempotent())
		},
		"rate-limit": func() plugin.Stage {
			return plugin.Define("rate-limit", ratelimit.DefaultOptions(), newServedLimit,
				plugin.Summary("holds each member to a number of messages in a time"))
		},
	}
}

// noOp lets everything pass.
type noOp struct{}

// Handle implements [sdk.Stage].
func (noOp) Handle(context.Context, *sdk.Envelope) (sdk.Decision, error) { return sdk.Next(), nil }

// servedLimit is the rate-limit stage where members have no names. A plugin
// without identity.read sees a pseudonym of the member's key, which is as good:
// it stands for one member for as long as the instance lives, and so do the
// buckets.
type servedLimit struct{ *ratelimit.Stage }

func newServedLimit(o ratelimit.Options) (servedLimit, error) {
	return servedLimit{ratelimit.New(o, time.Now)}, nil
}

// Handle implements [sdk.Stage].
func (s servedLimit) Handle(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	if env.Sender.MemberID != "" || env.Sender.Member.IsZero() {
		return s.Stage.Handle(ctx, env)
	}
	env.Sender.MemberID = string(env.Sender.Member[:])
	defer func() { env.Sender.MemberID = "" }()
	return s.Stage.Handle(ctx, env)
}

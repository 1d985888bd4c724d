package chain

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// Answerer is the stage of a link with the role owner: it answers requests of
// the kinds that its factory lists, in the place of the broker.
type Answerer interface {
	// Answer decides on a request that every stage before the route let through.
	// fields is the frame's JSON object. The decision is an Answer with a [Foreign],
	// or a Deny. An error says that nobody could answer.
	Answer(ctx context.Context, env *sdk.Envelope, fields []byte) (sdk.Decision, error)

	// Terms returns what holds for a kind. It answers from memory, and knows
	// nothing of a kind before the stage was up once.
	Terms(kind sdk.Kind) Terms
}

// Terms are what a stage says of a kind that it owns.
type Terms struct {
	Permission string  // that the asking member needs; empty: none
	Refusal    Foreign // the shape of a refusal; without a type there is none
}

// Foreign is a frame that the broker did not make.
type Foreign struct {
	Type   string
	Fields []byte // a JSON object with neither type nor _reqId
}

// Outside is a kind that a link owns. The nil Outside is a kind that none does.
type Outside struct {
	link   *Link
	to     Answerer
	kind   sdk.Kind
	counts *counts
	chain  *Chain
}

// Outside returns the owner of a kind, nil when no link owns it.
func (c *Chain) Outside(kind sdk.Kind) *Outside { return c.outside[kind] }

// Link returns the name of the link that owns the kind.
func (o *Outside) Link() string { return o.link.name }

// Terms returns what holds for the kind.
func (o *Outside) Terms() Terms { return o.to.Terms(o.kind) }

// Answer asks the link for the answer to a request, and refuses it as unavailable
// when the link's stage cannot tell. The route calls it, so whoever asks has
// passed every stage before that.
func (o *Outside) Answer(ctx context.Context, env *sdk.Envelope, fields []byte) sdk.Decision {
	l := o.link
	var probe Probe
	if o.chain.probes != nil {
		probe = o.chain.probes(ctx, env)
	}
	if probe != nil {
		ctx = probe.Enter(ctx, l)
	}
	start := time.Now()
	d, err := o.ask(ctx, env, fields)
	took := time.Since(start)
	l.meter.seconds.observe(took)
	if probe != nil {
		probe.Leave(ctx, l, d, err, took)
	}
	if err != nil || d.Verdict != sdk.Answer && d.Verdict != sdk.Deny {
		d = o.failed(ctx, env, err)
	}
	o.counts.add(env.Sender.Conn, d.Verdict)
	return d
}

// ask turns a panic into an error.
func (o *Outside) ask(ctx context.Context, env *sdk.Envelope, fields []byte) (d sdk.Decision, err error) {
	defer contain(&err)
	return o.to.Answer(ctx, env, fields)
}

// failed counts and logs a failure, and says what the peer is told of it: no
// more than that it is the owner's.
func (o *Outside) failed(ctx context.Context, env *sdk.Envelope, err error) sdk.Decision {
	why := classify(ctx, err)
	o.link.meter.failures[why].Add(1)
	if why == failCancelled {
		return gaveUp
	}
	o.link.meter.applied[appliedClosed].Add(1)
	o.link.report(ctx, "request not answered", why, env, err)
	return sdk.Decision{
		Verdict: sdk.Deny, Reason: sdk.ReasonUnavailable, RetryAfter: failedRetryAfter,
		Text: fmt.Sprintf("%s cannot answer %s now: try again in a moment", o.link.name, o.kind),
	}
}

// owners lists the kinds that links own.
func (c *Chain) owners() map[sdk.Kind]*Outside {
	list := make(map[sdk.Kind]*Outside)
	for _, l := range c.links {
		to, ok := l.stage.(Answerer)
		if l.role != RoleOwner {
			continue
		}
		if !ok {
			c.log.Error("the stage of an owner cannot answer", slog.String("link", l.name))
			continue
		}
		for _, kind := range l.owns {
			list[kind] = &Outside{link: l, to: to, kind: kind, counts: l.meter.of(kind), chain: c}
		}
	}
	return list
}

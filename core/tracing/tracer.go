package tracing

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/traceparent"
	"github.com/claudemesh/broker/sdk"
)

// Tracer decides which envelopes are traced, and makes their spans. Safe for
// concurrent use; the nil Tracer traces nothing.
type Tracer struct {
	spans    trace.Tracer
	sampling Sampling
	peers    *rate.Limiter
	callers  *rate.Limiter // of senders that have not proved themselves
	refused  *rate.Limiter
	names    bool

	Counters Counters
}

// Counters count traces since the start.
type Counters struct {
	ByRatio  atomic.Int64 // traces begun here
	ByPeers  atomic.Int64 // traces that a sender began
	Refused  atomic.Int64 // spans of envelopes that were refused and not traced
	Declined atomic.Int64 // traced by their sender, and beyond the rate of such here
}

// Options say what is traced.
type Options struct {
	Sampling Sampling
	Peers    config.Limit // traces that members begin; others may begin a tenth of it
	Refused  config.Limit // spans of refused envelopes that are not traced
	Names    bool         // names and ids of members, and ids of meshes, in spans
}

// New returns a tracer that makes its spans with spans, whose sampler must take
// all: the decision is made here.
func New(spans trace.Tracer, o Options) *Tracer {
	return &Tracer{
		spans: spans, sampling: o.Sampling, names: o.Names,
		peers: limiter(o.Peers), callers: limiter(tenthOf(o.Peers)), refused: limiter(o.Refused),
	}
}

// limiter allows a rate, and as many at once as come in a second of it.
func limiter(l config.Limit) *rate.Limiter {
	if l.Off() {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(l.Rate.PerSecond()), max(1, int(l.Rate.PerSecond())))
}

// tenthOf is what is left for whoever has yet to prove who they are.
func tenthOf(l config.Limit) config.Limit {
	l.Rate.Per *= 10
	return l
}

// Who says of whom an envelope is, as far as that is known when it comes.
type Who struct {
	Known  bool // the kind is one that this broker answers
	Proved bool // the sender is a member; else its traces are bounded apart
}

// Begin decides whether an envelope is traced. If it is, its span has begun, and
// env.Trace is the context that whatever it causes belongs to; else the result
// is nil, and env.Trace stays what the sender sent.
func (t *Tracer) Begin(env *sdk.Envelope, who Who) *Trail {
	if t == nil || !t.begins(env, who) {
		return nil
	}
	ctx := context.Background()
	if env.Trace != "" {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parse(env.Trace))
	}
	return t.open(ctx, env, nameOf(env, who.Known))
}

// begins decides. Nothing of it allocates while the answer is no.
func (t *Tracer) begins(env *sdk.Envelope, who Who) bool {
	if env.Trace == "" || !t.sampling.Follow {
		if !t.sampling.takes(env.Trace) {
			return false
		}
		t.Counters.ByRatio.Add(1)
		return true
	}
	if !traceparent.Sampled(env.Trace) {
		return false
	}
	limit := t.callers
	if who.Proved {
		limit = t.peers
	}
	if !limit.Allow() {
		t.Counters.Declined.Add(1)
		return false
	}
	t.Counters.ByPeers.Add(1)
	return true
}

// Probe is the [chain.Probes] of envelopes whose context is a [Trail]'s.
func (t *Tracer) Probe(ctx context.Context, _ *sdk.Envelope) chain.Probe {
	if trail, ok := ctx.Value(trailKey{}).(*Trail); ok {
		return trail
	}
	return nil
}

// Sampling says which envelopes are traced.
type Sampling struct {
	Ratio  float64 // part of the envelopes, of those that no sender has decided on
	Follow bool    // the sender's decision counts where there is one
}

// takes decides without the sender. An envelope with a trace id is decided by
// that, as every service does that has the same ratio
// (https://opentelemetry.io/docs/specs/otel/trace/sdk/#traceidratiobased).
func (s Sampling) takes(text string) bool {
	switch {
	case s.Ratio <= 0:
		return false
	case s.Ratio >= 1:
		return true
	}
	limit := uint64(s.Ratio * (1 << 63))
	if c, ok := traceparent.Parse(text); ok {
		return binary.BigEndian.Uint64(c.TraceID[8:])>>1 < limit
	}
	return rand.Uint64()>>1 < limit
}

package chain

import (
	"context"
	"fmt"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// Policy says what becomes of an envelope when a stage fails on it.
type Policy string

// Policies.
const (
	FailClosed Policy = "fail_closed" // deny it with stage_failed
	FailOpen   Policy = "fail_open"   // go on as if the stage had said "continue", and note that it did not
	Fallback   Policy = "fallback"    // let the link's fallback decide

	// Hold is for stages that wait by themselves until they are back, such as
	// plugins: the error that the chain sees is the end of the wait, and the
	// link's Then is what becomes of the envelope.
	Hold Policy = "hold"
)

// degraded is the attribute of an envelope that went on without a stage which
// had failed. Its value is the link.
const degraded = "degraded"

// policies returns what a link may choose, the default first.
func (f *Factory) policies() []Policy {
	if len(f.Policies) == 0 {
		return []Policy{FailClosed, FailOpen, Fallback}
	}
	return f.Policies
}

// policy returns what the link does about a failure, and what follows when it
// holds.
func (s LinkSpec) policy(f *Factory) (policy, then Policy) {
	policy, then = s.OnFailure, s.Then
	if policy == "" {
		policy = f.policies()[0]
	}
	if policy == Hold && then == "" {
		then = FailClosed
	}
	return policy, then
}

// refusal is what a sender is told about an envelope that a link could not
// judge.
func refusal(link string) sdk.Decision {
	return sdk.Decision{
		Verdict: sdk.Deny, Reason: sdk.ReasonStageFailed, RetryAfter: failedRetryAfter,
		Text: fmt.Sprintf("the broker could not judge the request (stage %s failed); try again", link),
	}
}

// policyText says the whole policy, for logs.
func (l *Link) policyText() string {
	if l.policy == Hold {
		return "hold, then " + string(l.then)
	}
	return string(l.policy)
}

// applied is a policy as it is counted: what became of an envelope, and whether
// a wait came first.
type applied uint8

const (
	appliedClosed applied = iota
	appliedOpen
	appliedFallback
	numApplied

	afterHold = numApplied // added to the others
)

// policy says what is counted under p.
func (p applied) policy() (last Policy, held bool) {
	return [numApplied]Policy{FailClosed, FailOpen, Fallback}[p%numApplied], p >= afterHold
}

// applies returns the link's policy as it is counted.
func (l *Link) applies() (p applied) {
	last := l.policy
	if last == Hold {
		last, p = l.then, afterHold
	}
	switch last {
	case FailOpen:
		return p + appliedOpen
	case Fallback:
		return p + appliedFallback
	default:
		return p + appliedClosed
	}
}

// expectPolicy has the counter of the link's policy told from now on. In shadow
// there is none.
func (l *Link) expectPolicy() {
	if !l.shadow {
		l.meter.expected[l.applies()].Store(true)
	}
}

// instead decides in place of a stage that has failed, and counts by what.
func (l *Link) instead(ctx context.Context, env *sdk.Envelope, p Probe) sdk.Decision {
	by := l.applies()
	l.meter.applied[by].Add(1)
	switch by % numApplied {
	case appliedOpen:
		env.Note(degraded, l.name)
		return sdk.Next()
	case appliedFallback:
		return l.fallBack(ctx, env, p)
	default:
		return l.refusal
	}
}

// fallBack asks the fallback. It stands where the failed stage stood, and lets
// pass what it does not want, as it would in a place of its own: that too is an
// envelope that goes on without a stage.
func (l *Link) fallBack(ctx context.Context, env *sdk.Envelope, p Probe) sdk.Decision {
	f := l.fallback
	if !f.wish.has(env.Kind) || f.filter != nil && !f.filter.Accepts(env) {
		env.Note(degraded, l.name)
		return sdk.Next()
	}
	var d sdk.Decision
	err := f.stepIn(ctx, env, p, &d)
	if err == nil && decided(d.Verdict) {
		l.meter.fallbackDecided.Add(1)
		return d
	}
	why := classify(ctx, err)
	if why == failCancelled {
		return gaveUp
	}
	l.meter.fallbackFailed.Add(1)
	f.report(ctx, "fallback of "+l.name+" failed", why, env, err)
	return l.refusal
}

// stepIn is call for a fallback, with the probe around it. What it takes is not
// in the histogram, which is the failed stage's.
func (l *Link) stepIn(ctx context.Context, env *sdk.Envelope, p Probe, d *sdk.Decision) error {
	if p == nil {
		return l.call(ctx, env, d)
	}
	ctx = p.Enter(ctx, l)
	start := time.Now()
	err := l.call(ctx, env, d)
	p.Leave(ctx, l, *d, err, time.Since(start))
	return err
}

// decided reports whether a stage that said this has decided. It takes the
// verdict alone, to spare the walk a copy of the decision.
func decided(v sdk.Verdict) bool { return v != sdk.Undecided && v <= sdk.Answer }

// Package chain runs envelopes through the stages that the operator lists.
//
// A [Chain] is immutable. A reload builds another one, and the [Holder] swaps
// them while envelopes are on their way: each finishes on the chain that it
// began on.
//
// The package knows no stage by name. What a stage is for (to prove who asks,
// to judge, to answer, to watch) comes with its [Factory], and so do the rules
// that [Build] holds a chain to.
package chain

import (
	"context"
	"errors"
	"log/slog"

	"github.com/claudemesh/broker/sdk"
)

// ErrUnknownKind says that no handler owns an envelope's kind. Whoever
// dispatches for the route stage returns it; the sender is told the type that
// it used.
var ErrUnknownKind = errors.New("no handler owns this kind of envelope")

// unanswered is the end of a walk on which every stage said "continue".
var unanswered = sdk.Refuse(sdk.ReasonUnanswered,
	"no stage of this broker's pipeline answers the request; its operator has to add a route")

// Chain is the operator's list of stages, ready to run. All methods may be
// called concurrently, but for Start, which comes first, and Stop, which comes
// after the last Done.
type Chain struct {
	// Set by Build.
	rows     []row   // every link of the config, disabled ones too; for Describe
	links    []*Link // the enabled ones, in order
	insecure bool
	every    uint32 // one walk in this many is timed; 0 times none
	probes   Probes // nil when nobody watches
	log      *slog.Logger
	meters   *meters // from Start on, shared with the chains before and after this one
	lineage  *meters // those of the chain before this one, until Start takes them over

	// Set by compile: at the end of Build, and once more at the end of Start.
	paths    map[sdk.Kind]*path // kinds that a stage names
	families []family           // kinds that a stage names as "prefix*", longest first
	rest     *path              // every other kind

	outside map[sdk.Kind]*Outside // kinds that links own; set by compile

	shadows *shadows // nil without a link in shadow

	inside gauge // envelopes between Holder.Enter and Leave
	life   life
}

// Run asks each stage that wants the envelope, in turn, until one decides, and
// returns the decision with the link that took it. An envelope that no stage answers is denied: a chain
// without its route stage lets nothing through. The link is then nil.
//
// Run does not allocate, unless a link has a deadline of its own.
func (c *Chain) Run(ctx context.Context, env *sdk.Envelope) (sdk.Decision, *Link) {
	steps, w := c.path(env.Kind).steps, c.watch(ctx, env)
	var d sdk.Decision
	for i := range steps {
		if steps[i].aside && c.pass(ctx, env, steps[i].link, w) {
			continue
		}
		if steps[i].ask(ctx, env, w, &d); d.Verdict != sdk.Continue {
			return d, steps[i].link
		}
	}
	return unanswered, nil
}

// pass reports whether the walk goes around a link that has a filter or is in
// shadow. In shadow, the stage is asked aside.
func (c *Chain) pass(ctx context.Context, env *sdk.Envelope, l *Link, w watch) bool {
	if l.filter != nil && !l.filter.Accepts(env) {
		return true
	}
	if l.shadow {
		c.shadows.ask(ctx, env, l, w.timed)
	}
	return l.shadow
}

// Record lets the recorders add to env.Records what must be committed with the
// envelope's effects. Call it once per envelope, after Run, whoever decided;
// for what the broker announces by itself ("event.…"), call it without Run.
func (c *Chain) Record(env *sdk.Envelope, d sdk.Decision) {
	for _, l := range c.path(env.Kind).recorders {
		l.record(env, d)
	}
}

// Done tells the observers that want the envelope how it ended, last stage
// first. Call it exactly once per envelope, on the chain that ran it.
func (c *Chain) Done(env *sdk.Envelope, out sdk.Outcome) {
	if c.shadows != nil {
		c.shadows.settle(env, c.endOf(out))
	}
	for _, l := range c.path(env.Kind).observers {
		if l.filter == nil || l.filter.Accepts(env) {
			l.done(env, out)
		}
	}
}

package chain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// failedRetryAfter is what a sender is told to wait after a stage failed. Most
// failures are a store or a plugin that is being restarted.
const failedRetryAfter = time.Second

// gaveUp is the end of a walk whose caller went away while a stage waited.
// Nobody reads it, and no failure policy may turn it into "continue".
var gaveUp = sdk.Refuse(sdk.ReasonUnavailable, "the request was cancelled before it was judged")

// Link is a stage with its place in the chain: its name and what happens when
// it fails.
type Link struct {
	name      string // unique in the chain; for logs, metrics and outcomes
	stageName string // the stage's name in the config
	role      Role
	owns      []sdk.Kind // that it answers, with the role owner
	policy    Policy
	then      Policy        // after Hold
	fallback  *Link         // decides with the policy Fallback; nil without
	required  bool          // the broker is not ready while the stage is down
	deadline  time.Duration // 0: none
	refusal   sdk.Decision  // for an envelope that nobody could judge

	instance *instance
	carried  bool // the instance is that of the chain before
	stage    sdk.Stage
	recorder sdk.Recorder // nil unless the stage is one
	observer sdk.Observer // nil unless the stage is one
	remote   Remote       // nil unless the stage is one

	// In shadow, the stage is asked and decides nothing: see shadows.
	shadow    bool
	submitter Submitter // nil unless the stage is one

	// Set by compile, which reads what the stage wants.
	wish   wish
	filter *sdk.Match // what paths cannot tell; nil: every envelope of the kinds

	meter *meter
	log   *slog.Logger
	quiet quiet
}

// Name returns the link's name in the config, or "chain" for the nil Link, the
// one that "decides" when no stage did.
func (l *Link) Name() string {
	if l == nil {
		return "chain"
	}
	return l.name
}

// ask puts the stage's decision into d, or the link's failure policy when the
// stage failed or decided nothing.
//
// A decision has 64 bytes. Handing down where to put it, instead of returning
// it, saves two copies at each link, and nearly half of the walk.
func (s *step) ask(ctx context.Context, env *sdk.Envelope, w watch, d *sdk.Decision) {
	var err error
	if w.timed {
		err = s.link.watched(ctx, env, w, d)
	} else {
		err = s.link.call(ctx, env, d)
	}
	s.settle(ctx, env, w.probe, d, err)
}

// settle has the failure policy decide where the stage failed or decided
// nothing, and counts. The probe, if there is one, watches the fallback.
func (s *step) settle(ctx context.Context, env *sdk.Envelope, p Probe, d *sdk.Decision, err error) {
	if err != nil || !decided(d.Verdict) {
		*d = s.link.fail(ctx, env, p, err)
	}
	s.counts.add(env.Sender.Conn, d.Verdict)
}

// call runs the stage and turns a panic into an error, with which d means
// nothing.
func (l *Link) call(ctx context.Context, env *sdk.Envelope, d *sdk.Decision) (err error) {
	defer contain(&err)
	if l.deadline > 0 {
		return l.callWithin(ctx, env, d)
	}
	*d, err = l.stage.Handle(ctx, env)
	return err
}

// callWithin gives the stage a deadline. It cannot take the envelope away from
// a stage that does not look at its context: the walk then waits for it.
func (l *Link) callWithin(ctx context.Context, env *sdk.Envelope, d *sdk.Decision) (err error) {
	ctx, cancel := context.WithTimeout(ctx, l.deadline)
	defer cancel()
	*d, err = l.stage.Handle(ctx, env)
	return err
}

// fail counts and logs a failure, and returns what the policy makes of it.
func (l *Link) fail(ctx context.Context, env *sdk.Envelope, p Probe, err error) sdk.Decision {
	why := classify(ctx, err)
	l.meter.failures[why].Add(1)
	if why == failCancelled {
		return gaveUp
	}
	l.report(ctx, "stage failed", why, env, err)
	return l.instead(ctx, env, p)
}

// record and done contain panics like call does: whoever decided has decided,
// and the other recorders and observers still get the envelope.
func (l *Link) record(env *sdk.Envelope, d sdk.Decision) {
	defer l.containLate("record", env)
	l.recorder.Record(env, d)
}

func (l *Link) done(env *sdk.Envelope, out sdk.Outcome) {
	defer l.containLate("done", env)
	l.observer.Done(env, out)
}

func (l *Link) containLate(what string, env *sdk.Envelope) {
	if v := recover(); v != nil {
		l.meter.failures[failPanic].Add(1)
		err := &panicError{value: v, stack: debug.Stack()}
		l.report(context.Background(), "stage failed in "+what, failPanic, env, err)
	}
}

// report logs a failure, at most one line a second for each link: a store that
// is away fails every envelope, and says the same each time.
func (l *Link) report(ctx context.Context, msg string, why failure, env *sdk.Envelope, err error) {
	skipped, ok := l.quiet.allow(time.Now())
	if !ok {
		return
	}
	attrs := []slog.Attr{
		slog.String("link", l.name), slog.String("stage", l.stageName),
		slog.String("failure", why.String()), slog.String("on_failure", l.policyText()),
		slog.String("kind", string(env.Kind)), slog.Uint64("conn", env.Sender.Conn),
		slog.String("mesh", env.Mesh), slog.String("member", env.Sender.MemberID),
	}
	if err != nil {
		attrs = append(attrs, slog.Any("err", err))
	}
	if p, ok := errors.AsType[*panicError](err); ok {
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	if skipped > 0 {
		attrs = append(attrs, slog.Uint64("not_logged", skipped))
	}
	l.log.LogAttrs(ctx, slog.LevelError, msg, attrs...)
}

// contain turns a panic into an error. Defer it directly.
func contain(err *error) {
	if v := recover(); v != nil {
		*err = &panicError{value: v, stack: debug.Stack()}
	}
}

// panicError is a panic of a stage. The stack goes to the log only.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

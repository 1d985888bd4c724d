package sdk

import (
	"context"
	"time"
)

// Stage judges envelopes, one at a time, in the order the config lists stages.
//
// Handle may wait, for a database or a plugin, but never past ctx: the same
// peer's next envelope waits with it. An error means that the stage failed and
// says nothing about the envelope; the link's failure policy then decides
// (deny, unless the config says otherwise).
//
// Each peer has its own goroutine, so many call Handle at once.
type Stage interface {
	Handle(ctx context.Context, env *Envelope) (Decision, error)
}

// Matcher is a stage that wants only some kinds of envelope. A kind that ends
// in "*" stands for every kind that begins with what is before it; an empty
// list means every kind. Stages that do not implement it see every kind.
//
// The chain asks when it is built and again when it has started, before the
// first envelope, so that a stage may find out in Start. A [Selector] can say
// more.
type Matcher interface {
	Kinds() []Kind
}

// Recorder is a stage that keeps the audit log. Record is called once per
// envelope, after the decision and before the envelope's effects are
// committed; it adds to env.Records what must be committed with them.
type Recorder interface {
	Record(env *Envelope, d Decision)
}

// Observer is a stage that wants to know how every envelope ended, refused
// ones too. Done is called exactly once per envelope, last stage first, after
// the sender's answer is decided and what it promises is on disk. It must not
// wait: the next answer of the same peer waits with it.
type Observer interface {
	Done(env *Envelope, out Outcome)
}

// MissedObserver is an observer that wants to know how many outcomes it was not
// told of. A plugin that falls behind misses some; a stage inside the broker
// never does. Missed is called where the gap is: after the Done before it, and
// before the one that follows. n is not 0, and counts only this gap.
type MissedObserver interface {
	Observer
	Missed(n uint64)
}

// Starter is a stage with something to open. The chain starts stages in order
// before the first envelope; an error stops the broker, or the reload.
type Starter interface {
	Start(ctx context.Context) error
}

// Stopper is a stage with something to close. Stop is called once, after the
// last envelope, also on a stage whose Start was never called.
type Stopper interface {
	Stop(ctx context.Context) error
}

// Verdict is what a stage decides.
type Verdict uint8

// Verdicts. Values cross the plugin boundary: append only, never reorder.
const (
	Undecided Verdict = iota // no verdict; the chain counts it as a failed stage
	Continue                 // hand the envelope to the next stage
	Deny                     // stop and tell the sender why
	Drop                     // stop, but let the sender believe it was delivered
	Answer                   // stop: the work is done, Reply goes to the sender
)

// String returns the verdict as logs and metrics name it.
func (v Verdict) String() string {
	switch v {
	case Continue:
		return "continue"
	case Deny:
		return "deny"
	case Drop:
		return "drop"
	case Answer:
		return "answer"
	default:
		return "undecided"
	}
}

// Decision is a stage's answer. The zero Decision is a failure of the stage,
// never "continue".
type Decision struct {
	Verdict    Verdict
	Reason     Reason        // set with Deny and Drop
	Text       string        // for the sender, with Deny: what is wrong and what to do
	RetryAfter time.Duration // with Deny: when to try again; 0 says nothing. HTTP callers are told; for frames, say it in Text
	Reply      any           // set with Answer by stages built into the broker
}

// Next returns the decision to go on.
func Next() Decision { return Decision{Verdict: Continue} }

// Refuse returns a Deny with a reason and a text for the sender.
func Refuse(r Reason, text string) Decision {
	return Decision{Verdict: Deny, Reason: r, Text: text}
}

// Outcome is how an envelope ended.
type Outcome struct {
	Decision Decision
	Stage    string        // the link that decided
	Took     time.Duration // from arrival to the decision
	Settled  time.Duration // from arrival until the promise was on disk

	Recipients int   // audience after narrowing
	Pushed     int   // sessions that it was written to at once
	Queued     int   // deliveries that wait on disk
	Err        error // what failed, for the log; the sender saw only the reason
}

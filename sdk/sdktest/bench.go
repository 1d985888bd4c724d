package sdktest

import (
	"context"
	"testing"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// Bench is a stage on a workbench: a test sends it envelopes, one at a time,
// and says what it wants.
//
//	bench := sdktest.New(t, stage)
//	bench.Send(sdktest.Message(sdktest.From("ada"))).WantContinue()
//	bench.Send(sdktest.Message(sdktest.At(night))).WantRefuse("office_hours")
type Bench struct {
	t     testing.TB
	stage sdk.Stage
}

// New starts the stage, and stops it when the test ends.
func New(t testing.TB, stage sdk.Stage) *Bench {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := start(ctx, stage); err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := stop(ctx, stage); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return &Bench{t: t, stage: stage}
}

// Sent is an envelope that the stage has judged.
type Sent struct {
	t        testing.TB
	about    string
	asked    bool
	decision sdk.Decision
	err      error
	before   int // attributes
	env      *sdk.Envelope
}

// Send asks the stage about an envelope, as the broker does: not when the
// stage's Kinds or Match exclude it. The stage's Done follows, unless they exclude
// what the stage made of the envelope. An error or a panic of the stage is for
// WantFailure.
func (b *Bench) Send(env *sdk.Envelope) *Sent {
	b.t.Helper()
	s := &Sent{t: b.t, about: describe(env), env: env, before: len(env.Attributes), asked: wants(b.stage, env)}
	if !s.asked {
		s.decision = sdk.Next()
		return s
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	began := time.Now()
	s.decision, s.err = call(ctx, b.stage, env)
	if time.Since(began) > patience {
		b.t.Errorf("%s: Handle returned after its context had ended", s.about)
	}
	if s.err == nil && wants(b.stage, env) {
		if err := finish(b.stage, env, s.decision); err != nil {
			b.t.Errorf("%s: Done: %v", s.about, err)
		}
	}
	return s
}

// WantContinue wants the envelope to go on to the next stage, be it that this
// one does not want to see it.
func (s *Sent) WantContinue() *Sent {
	s.t.Helper()
	return s.want(sdk.Continue, "")
}

// WantRefuse wants the sender to be told no, for a reason.
func (s *Sent) WantRefuse(reason sdk.Reason) *Sent {
	s.t.Helper()
	return s.want(sdk.Deny, reason)
}

// WantDrop wants the envelope to end without the sender knowing. A plugin needs
// the capability verdict.drop for it.
func (s *Sent) WantDrop() *Sent {
	s.t.Helper()
	return s.want(sdk.Drop, s.decision.Reason)
}

func (s *Sent) want(verdict sdk.Verdict, reason sdk.Reason) *Sent {
	s.t.Helper()
	switch d := s.decision; {
	case s.err != nil:
		s.t.Errorf("%s: the stage failed: %v", s.about, s.err)
	case d.Verdict != verdict || d.Reason != reason:
		s.t.Errorf("%s: got %v %s (%s), want %v %s", s.about, d.Verdict, d.Reason, d.Text, verdict, reason)
	}
	return s
}

// WantFailure wants the stage to have failed: with an error, a panic, or
// without a verdict.
func (s *Sent) WantFailure() *Sent {
	s.t.Helper()
	if s.err == nil && s.decision.Verdict != sdk.Undecided {
		s.t.Errorf("%s: got %v %s, want a failure", s.about, s.decision.Verdict, s.decision.Reason)
	}
	return s
}

// WantUnasked wants the stage's Kinds or Match to exclude the envelope.
func (s *Sent) WantUnasked() *Sent {
	s.t.Helper()
	if s.asked {
		s.t.Errorf("%s: the stage was asked", s.about)
	}
	return s
}

// WantNote wants the stage to have noted an attribute.
func (s *Sent) WantNote(key, value string) *Sent {
	s.t.Helper()
	for _, a := range s.env.Attributes[s.before:] {
		if a.Key == key && a.Value == value {
			return s
		}
	}
	s.t.Errorf("%s: noted %v, want %s=%s", s.about, s.env.Attributes[s.before:], key, value)
	return s
}

// WantAudience wants n recipients to be left.
func (s *Sent) WantAudience(n int) *Sent {
	s.t.Helper()
	list, err := s.env.Audience(s.t.Context())
	if err != nil || len(list) != n {
		s.t.Errorf("%s: %d recipients are left (%v), want %d", s.about, len(list), err, n)
	}
	return s
}

// WantHold wants the stage to hold the message back until a time. A plugin needs
// the capability delivery.hold for it.
func (s *Sent) WantHold(until time.Time) *Sent {
	s.t.Helper()
	if !s.env.HoldUntil.Equal(until) {
		s.t.Errorf("%s: held until %v, want %v", s.about, s.env.HoldUntil, until)
	}
	return s
}

// Decision returns what the stage decided, for what no method here asks.
func (s *Sent) Decision() sdk.Decision { return s.decision }

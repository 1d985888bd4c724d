package sdktest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// loud is a stage with a word for everything.
type loud struct{ started, stopped, done int }

func (l *loud) Start(context.Context) error     { l.started++; return nil }
func (l *loud) Stop(context.Context) error      { l.stopped++; return nil }
func (l *loud) Done(*sdk.Envelope, sdk.Outcome) { l.done++ }
func (l *loud) Match() sdk.Match                { return sdk.Match{MaxSize: 1000} }
func (l *loud) Kinds() []sdk.Kind               { return []sdk.Kind{"send", "hello"} }
func (l *loud) Handle(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	switch {
	case env.Sender.Name == "eve":
		return sdk.Decision{Verdict: sdk.Drop, Reason: "spam"}, nil
	case env.Kind == sdk.KindHello && string(env.Credential()) != "proof":
		return sdk.Decision{}, errors.New("no proof")
	case string(env.Payload()) == "bad":
		panic("bad")
	case env.Priority == sdk.PriorityLow:
		return sdk.Refuse("low", "not now"), nil
	}
	if _, err := env.Audience(ctx); err != nil {
		return sdk.Decision{}, err
	}
	env.Narrow(func(r *sdk.Recipient) bool { return r.MemberID == "member-2" })
	env.Hold(env.Arrived)
	env.Note("year", fmt.Sprint(env.Arrived.Year()))
	return sdk.Next(), nil
}

// calming makes what is urgent wait, and then does not want it any more.
type calming struct{}

func (calming) Match() sdk.Match                { return sdk.Match{Priorities: []sdk.Priority{sdk.PriorityNow}} }
func (calming) Done(*sdk.Envelope, sdk.Outcome) { panic("told") }
func (calming) Handle(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	env.Priority = sdk.PriorityNext
	return sdk.Next(), nil
}

// recorder is a test that fails in secret.
type recorder struct {
	testing.TB
	failed []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.failed = append(r.failed, fmt.Sprintf(format, args...))
}

func TestBench(t *testing.T) {
	stage := &loud{}
	t.Run("it passes what is as wanted", func(t *testing.T) {
		b := New(t, stage)
		at := time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC)
		b.Send(Message(At(at), To("*"), Noted("k", "v"))).WantContinue().WantNote("year", "1999").WantAudience(1).WantHold(at)
		b.Send(Message(Recipients(sdk.Recipient{MemberID: "x"}))).WantContinue().WantAudience(0)
		b.Send(Message(Priority(sdk.PriorityLow), OnConn(7))).WantRefuse("low")
		b.Send(Message(From("eve"))).WantDrop()
		b.Send(Envelope(sdk.KindHello)).WantFailure()
		b.Send(Envelope(sdk.KindHello, Credential([]byte("proof")))).WantContinue()
		b.Send(Message(Payload([]byte("bad")))).WantFailure()
		b.Send(Message(Size(1001))).WantContinue().WantUnasked()
		b.Send(Envelope("http.join")).WantUnasked()
	})
	if stage.started != 1 || stage.stopped != 1 || stage.done != 5 {
		t.Errorf("started, stopped and told: %+v", stage)
	}
	t.Run("it tells of what the stage still wants", func(t *testing.T) {
		b := New(t, &calming{})
		b.Send(Message(Priority(sdk.PriorityNow))).WantContinue()
		b.Send(Message(Priority(sdk.PriorityLow))).WantUnasked()
	})
	t.Run("it fails for what is not", func(t *testing.T) {
		r := &recorder{TB: t}
		b := New(r, &loud{})
		b.Send(Message()).WantRefuse("low")
		b.Send(Message()).WantFailure()
		b.Send(Message()).WantUnasked()
		b.Send(Message()).WantNote("year", "0")
		b.Send(Message()).WantAudience(3)
		b.Send(Envelope(sdk.KindHello)).WantDrop()
		want := []string{"want deny low", "want a failure", "was asked", "want year=0", "want 3", "no proof"}
		if len(r.failed) != len(want) {
			t.Fatalf("failed with %q", r.failed)
		}
		for i, part := range want {
			if !strings.Contains(r.failed[i], part) {
				t.Errorf("failed with %q, want %q in it", r.failed[i], part)
			}
		}
	})
}

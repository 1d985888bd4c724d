package sdktest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// stage is a stage that can be made to break each rule.
type stage struct {
	handle func(context.Context, *sdk.Envelope) (sdk.Decision, error)
	record func(*sdk.Envelope)
	stop   func() error
	kinds  []sdk.Kind
}

func (s *stage) Handle(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	if s.handle == nil {
		return sdk.Next(), nil
	}
	return s.handle(ctx, env)
}

func (s *stage) Kinds() []sdk.Kind { return s.kinds }

func (s *stage) Record(env *sdk.Envelope, _ sdk.Decision) {
	if s.record != nil {
		s.record(env)
	}
}

func (s *stage) Stop(context.Context) error {
	if s.stop == nil {
		return nil
	}
	return s.stop()
}

func TestAGoodStageKeepsEveryRule(t *testing.T) {
	Run(t, func() sdk.Stage {
		return &stage{handle: func(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
			if _, err := env.Audience(ctx); err != nil {
				return sdk.Decision{}, err
			}
			env.Narrow(func(r *sdk.Recipient) bool { return r.MemberID != "member-3" })
			env.Note("seen", "yes")
			env.Records = append(env.Records, sdk.Record{Event: "seen", Payload: []byte("{}")})
			return sdk.Next(), nil
		}}
	}, func() *sdk.Envelope { return &sdk.Envelope{Kind: "own", Body: 1} })
}

func TestABrokenStageIsFound(t *testing.T) {
	deny := func(d sdk.Decision, err error) func() sdk.Stage {
		return func() sdk.Stage {
			return &stage{handle: func(context.Context, *sdk.Envelope) (sdk.Decision, error) { return d, err }}
		}
	}
	tests := []struct {
		rule string
		new  func() sdk.Stage
		want string
	}{
		{"it names the kinds that it wants", func() sdk.Stage { return &stage{kinds: []sdk.Kind{"a*b"}} }, "star before its end"},
		{"it decides about every envelope", deny(sdk.Decision{}, nil), "decides nothing"},
		{"it decides about every envelope", deny(sdk.Decision{Verdict: 9}, nil), "decides nothing"},
		{"it decides about every envelope", deny(sdk.Decision{Verdict: sdk.Deny}, nil), "without a reason"},
		{"it decides about every envelope", deny(sdk.Decision{Verdict: sdk.Continue, RetryAfter: -1}, nil), "RetryAfter"},
		{"it decides about every envelope", deny(sdk.Next(), errors.New("no luck")), "no luck"},
		{"it leaves alone what an envelope is", func() sdk.Stage {
			return &stage{handle: func(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
				env.Priority = sdk.PriorityNow
				return sdk.Next(), nil
			}}
		}, "may narrow the audience"},
		{"it works for 32 goroutines at once", func() sdk.Stage {
			return &stage{record: func(*sdk.Envelope) { panic("never recorded") }}
		}, "never recorded"},
		{"it keeps nothing of an envelope", keeper, "written to after"},
		{"it starts, works and stops", func() sdk.Stage { return &stage{stop: func() error { return errors.New("stuck") }} }, "stuck"},
		{"it stops although it never started", func() sdk.Stage { return &stage{stop: func() error { panic("nil") }} }, "panic: nil"},
	}
	for _, tt := range tests {
		t.Run(tt.rule+": "+tt.want, func(t *testing.T) {
			for _, r := range rules {
				if r.name != tt.rule {
					continue
				}
				found := r.check(suite{newStage: tt.new})
				if len(found) == 0 || !strings.Contains(found[0], tt.want) {
					t.Errorf("found %q, want %q in it", found, tt.want)
				}
				return
			}
			t.Error("there is no such rule")
		})
	}
}

// keeper makes a stage that writes to envelopes when it is stopped.
func keeper() sdk.Stage {
	var kept []*sdk.Envelope
	mutex := make(chan struct{}, 1)
	return &stage{
		handle: func(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
			mutex <- struct{}{}
			kept = append(kept, env)
			<-mutex
			return sdk.Next(), nil
		},
		stop: func() error {
			for _, env := range kept {
				env.Body = "mine"
			}
			return nil
		},
	}
}

func TestAStageThatDoesNotReturnIsFound(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	var f findings
	f.within(time.Millisecond, "hello", func() { <-release })
	if len(f.list) != 1 || f.list[0] != "hello: no return after 1ms" {
		t.Errorf("found %q", f.list)
	}
}

package sdktest

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
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
				env.Size++
				return sdk.Next(), nil
			}}
		}, "may narrow the audience"},
		{"it leaves alone what an envelope is", func() sdk.Stage {
			return &stage{handle: func(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
				env.Priority = sdk.PriorityLow + 1
				return sdk.Next(), nil
			}}
		}, "got the priority 3"},
		{"it names the kinds that it wants", func() sdk.Stage {
			return &choosy{match: sdk.Match{Kinds: []sdk.Kind{"hello"}}}
		}, "wants no envelope"},
		{"it starts, works and stops", func() sdk.Stage {
			return observing{&audit{kinds: []sdk.Kind{"http.*"}, missed: func(uint64) { panic("missed") }}}
		}, "panic: missed"},
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

// choosy is a stage that fails what it does not want, and wants few sends. It
// makes what is urgent wait.
type choosy struct {
	match sdk.Match
	asked atomic.Int64
}

func (c *choosy) Kinds() []sdk.Kind { return []sdk.Kind{"send", "event.*"} }
func (c *choosy) Match() sdk.Match  { return c.match }

func (c *choosy) Handle(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	if c.asked.Add(1); !c.match.Accepts(env) {
		return sdk.Decision{}, errors.New("nobody asked for that")
	}
	env.Priority = sdk.PriorityLow
	return sdk.Next(), nil
}

func TestAStageIsShownWhatItWants(t *testing.T) {
	for name, match := range map[string]sdk.Match{
		"everything":   {},
		"kinds":        {Kinds: []sdk.Kind{"send", "hello"}},
		"targets":      {Kinds: []sdk.Kind{"send"}, Targets: []sdk.TargetKind{sdk.TargetTopic}},
		"priorities":   {Priorities: []sdk.Priority{sdk.PriorityNow, sdk.PriorityLow}},
		"large ones":   {MinSize: 1000},
		"small ones":   {MaxSize: 10},
		"a whole list": {Kinds: []sdk.Kind{"send"}, Targets: []sdk.TargetKind{sdk.TargetGroup}, Priorities: []sdk.Priority{sdk.PriorityNow}, MinSize: 5, MaxSize: 5},
	} {
		t.Run(name, func(t *testing.T) {
			var made []*choosy
			Run(t, func() sdk.Stage {
				made = append(made, &choosy{match: match})
				return made[len(made)-1]
			})
			if n := made[1].asked.Load(); n < 3 {
				t.Errorf("it was asked about %d envelopes", n)
			}
		})
	}
}

// audit is a type that only observes.
type audit struct {
	kinds            []sdk.Kind
	missed           func(uint64)
	done, gaps       atomic.Int64
	started, stopped atomic.Int64
}

func (a *audit) Kinds() []sdk.Kind           { return a.kinds }
func (a *audit) Start(context.Context) error { a.started.Add(1); return nil }
func (a *audit) Stop(context.Context) error  { a.stopped.Add(1); return nil }

func (a *audit) Done(env *sdk.Envelope, _ sdk.Outcome) {
	if env.Kind != "http.something" {
		panic("not wanted: " + env.Kind)
	}
	a.done.Add(1)
}

func (a *audit) Missed(n uint64) {
	if a.missed != nil {
		a.missed(n)
	}
	a.gaps.Add(1)
}

func TestAnObserverNeedsNoHandle(t *testing.T) {
	var done, gaps, started, stopped int64
	var made []*audit
	RunObserver(t, func() sdk.Observer {
		made = append(made, &audit{kinds: []sdk.Kind{"http.*"}})
		return made[len(made)-1]
	})
	for _, a := range made {
		done, gaps = done+a.done.Load(), gaps+a.gaps.Load()
		started, stopped = started+a.started.Load(), stopped+a.stopped.Load()
	}
	if done < 100 || gaps != 1 || started < 5 || stopped != started+1 {
		t.Errorf("told %d times, of %d gaps, started %d times, stopped %d times", done, gaps, started, stopped)
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

package chain_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/sdk"
)

// witness is a probe that writes down what it is told.
type witness struct{ told []string }

type within struct{}

func (w *witness) Enter(ctx context.Context, l *chain.Link) context.Context {
	w.told = append(w.told, "enter "+l.Name())
	return context.WithValue(ctx, within{}, l.Name())
}

func (w *witness) Leave(ctx context.Context, l *chain.Link, d sdk.Decision, err error, _ time.Duration) {
	w.told = append(w.told, fmt.Sprintf("leave %s: %s, err %v", l.Name(), d.Verdict, err))
	if got := ctx.Value(within{}); got != l.Name() {
		w.told = append(w.told, fmt.Sprintf("with the context of %v", got))
	}
}

// watchedBy builds a chain of which every walk is watched.
func watchedBy(t *testing.T, p chain.Probe, factories chain.Factories, links ...chain.LinkSpec) *chain.Chain {
	t.Helper()
	c, err := chain.Build(chain.Spec{
		Links: links, Insecure: true, Timing: -1, Log: slog.New(slog.DiscardHandler),
		Probes: func(context.Context, *sdk.Envelope) chain.Probe { return p },
	}, factories)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// walked takes an envelope through a chain in pieces.
func walked(t *testing.T, c *chain.Chain) sdk.Decision {
	t.Helper()
	var w chain.Walk
	env := &sdk.Envelope{Kind: sdk.KindSend}
	for ended := c.Begin(t.Context(), env, &w, false); !ended; {
		ended = w.Resume(t.Context(), env)
	}
	d, _ := w.Decision()
	return d
}

// falling is a remote stage that panics.
type falling struct {
	fake
	atOnce bool // in Send, else in Wait
}

func (f *falling) Send(context.Context, *sdk.Envelope) (chain.Ticket, error) {
	if f.atOnce {
		panic("send")
	}
	return f, nil
}

func (*falling) Wait(context.Context, *sdk.Envelope) (sdk.Decision, error) { panic("wait") }

// What a probe begins it also ends, however a remote stage fails, and what it
// took is in the histogram.
func TestProbeOfARemoteStageThatFails(t *testing.T) {
	for name, tt := range map[string]struct {
		stage sdk.Stage
		err   string
	}{
		"it is not sent":     {&far{refuses: true}, "broken on purpose"},
		"no verdict":         {&far{lost: true}, "broken on purpose"},
		"a panic in sending": {&falling{atOnce: true}, "panic: send"},
		"a panic in waiting": {&falling{}, "panic: wait"},
	} {
		t.Run(name, func(t *testing.T) {
			p := new(witness)
			c := watchedBy(t, p, nil, link("far", tt.stage))
			if d := walked(t, c); d.Reason != sdk.ReasonStageFailed {
				t.Errorf("it ended with %+v", d)
			}
			if diff := cmp.Diff([]string{"enter far", "leave far: undecided, err " + tt.err}, p.told); diff != "" {
				t.Errorf("the probe (-want +got):\n%s", diff)
			}
			if n := c.Stats()[0].Timing.Count; n != 1 {
				t.Errorf("%d timed, want 1", n)
			}
		})
	}
}

// spotted is a remote stage whose verdicts come a while after they were asked
// for, whenever somebody waits for them.
type spotted struct {
	fake
	after time.Duration // 0: nobody knows
	plain bool          // its tickets cannot know
}

type spottedTicket struct {
	chain.Ticket
	came time.Time
}

func (s *spotted) Send(context.Context, *sdk.Envelope) (chain.Ticket, error) {
	var came time.Time
	if s.after != 0 {
		came = time.Now().Add(s.after)
	}
	t := spottedTicket{&ticket{&far{}}, came}
	if s.plain {
		return t.Ticket, nil
	}
	return t, nil
}

func (t spottedTicket) WaitDated(ctx context.Context, env *sdk.Envelope) (sdk.Decision, time.Time, error) {
	d, err := t.Wait(ctx, env)
	return d, t.came, err
}

// timekeeper is a probe that writes down how long stages took.
type timekeeper struct {
	witness
	took []time.Duration
}

func (k *timekeeper) Leave(_ context.Context, _ *chain.Link, _ sdk.Decision, _ error, took time.Duration) {
	k.took = append(k.took, took)
}

// A remote stage took until its verdict came, not until its turn in the line
// came, as far as its tickets know that.
func TestTimeOfARemoteStage(t *testing.T) {
	for name, tt := range map[string]struct {
		stage sdk.Stage
		want  time.Duration
	}{
		"a verdict that waits for its turn":  {&spotted{after: 3 * time.Millisecond}, 3 * time.Millisecond},
		"one that was clear from the start":  {&spotted{after: -time.Hour}, 0},
		"one of which nobody knows the time": {&spotted{}, time.Second},
		"one of which nobody can know it":    {&spotted{plain: true}, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := new(timekeeper)
				c := watchedBy(t, p, nil, link("far", tt.stage))
				var w chain.Walk
				env := &sdk.Envelope{Kind: sdk.KindSend}
				if c.Begin(t.Context(), env, &w, false) {
					t.Fatal("it ended")
				}
				time.Sleep(time.Second) // those before it in the line
				if !w.Resume(t.Context(), env) {
					t.Fatal("it did not end")
				}
				if diff := cmp.Diff([]time.Duration{tt.want}, p.took); diff != "" {
					t.Errorf("the probe (-want +got):\n%s", diff)
				}
				if got := c.Stats()[0].Timing; got.Sum != tt.want || got.Count != 1 {
					t.Errorf("the histogram has %d of %v, want one of %v", got.Count, got.Sum, tt.want)
				}
			})
		})
	}
}

// A fallback is watched like a stage of its own, behind the one that failed.
func TestProbeOfAFallback(t *testing.T) {
	no := sdk.Refuse("no", "")
	weak := "leave weak: undecided, err broken on purpose"
	for name, tt := range map[string]struct {
		spare *fake
		want  []string
	}{
		"it decides":       {always(no), []string{"enter spare", "leave spare: deny, err <nil>"}},
		"it fails":         {&fake{HandleFn: (&far{lost: true}).Handle}, []string{"enter spare", "leave spare: undecided, err broken on purpose"}},
		"it panics":        {&fake{HandleFn: (&falling{}).Wait}, []string{"enter spare", "leave spare: undecided, err panic: wait"}},
		"it is not wanted": {&fake{Wants: []sdk.Kind{"hello"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var asked any
			judge := tt.spare.HandleFn
			spared := &fake{Wants: tt.spare.Wants, HandleFn: func(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
				asked = ctx.Value(within{})
				return judge(ctx, env)
			}}
			remote := fallsBack()
			remote.Use = factory(chain.RoleGate, &far{lost: true})
			for _, ls := range []chain.LinkSpec{fallsBack(), remote} {
				p := new(witness)
				walked(t, watchedBy(t, p, spare(spared), ls))
				if diff := cmp.Diff(append([]string{"enter weak", weak}, tt.want...), p.told); diff != "" {
					t.Errorf("the probe (-want +got):\n%s", diff)
				}
				if tt.want != nil && asked != "spare" {
					t.Errorf("the fallback has the context of %v", asked)
				}
			}
		})
	}
}

// The histogram tells apart what plugins may take at most from what hangs.
func TestTimingReachesTheDeadlinesOfPlugins(t *testing.T) {
	for took, want := range map[time.Duration]time.Duration{
		80 * time.Nanosecond: 100 * time.Nanosecond, 4 * time.Second: 5 * time.Second, 9 * time.Second: 10 * time.Second,
		30 * time.Second: 30 * time.Second, time.Minute: 30 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			c := watchedBy(t, new(timekeeper), nil, link("slow", &fake{
				HandleFn: func(context.Context, *sdk.Envelope) (sdk.Decision, error) { time.Sleep(took); return sdk.Next(), nil },
			}))
			c.Run(t.Context(), new(sdk.Envelope))
			if got := c.Stats()[0].Timing; got.Quantile(0.5) != want || got.Counts[len(got.Bounds)] != 0 && took <= want {
				t.Errorf("%v is in the bucket up to %v, want %v", took, got.Quantile(0.5), want)
			}
		})
	}
}

package chain_test

import (
	"context"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/sdk"
)

// shadowed puts a link in shadow.
func shadowed(ls chain.LinkSpec) chain.LinkSpec {
	ls.Shadow = true
	return ls
}

// journey takes an envelope through the chain to its end.
func journey(t testing.TB, c *chain.Chain, env *sdk.Envelope) sdk.Decision {
	t.Helper()
	d, l := c.Run(t.Context(), env)
	c.Record(env, d)
	c.Done(env, sdk.Outcome{Decision: d, Stage: l.Name()})
	return d
}

// counted is the statistics of one shadow verdict.
func counted(shadow, chained string, disagreements uint64) *chain.ShadowStat {
	return &chain.ShadowStat{
		Verdicts: []chain.ShadowCount{{Shadow: shadow, Chain: chained, Count: 1}}, Disagreements: disagreements,
	}
}

func TestShadowCounts(t *testing.T) {
	var (
		next = new(fake)
		deny = always(sdk.Refuse("no", ""))
		drop = always(sdk.Decision{Verdict: sdk.Drop})
		weak = always(sdk.Decision{})
		full = factory(chain.RoleRoute, always(sdk.Refuse(sdk.ReasonTooLarge, "")))
	)
	routed := link("route", answering())
	tests := []struct {
		name   string
		shadow sdk.Stage
		after  chain.LinkSpec
		want   *chain.ShadowStat
	}{
		{"it agrees when both let pass", next, routed, counted("continue", "answer", 0)},
		{"it disagrees when it alone would deny", deny, routed, counted("deny", "answer", 1)},
		{"it disagrees when it alone would drop", drop, routed, counted("drop", "answer", 1)},
		{"it agrees when it answers what the chain answers", answering(), routed, counted("answer", "answer", 0)},
		{"it disagrees when a later gate denies what it lets pass", next, link("gate", deny), counted("continue", "deny", 1)},
		{"it disagrees when a later gate drops what it lets pass", next, link("gate", drop), counted("continue", "drop", 1)},
		{"it agrees when both refuse, each in its way", deny, link("gate", drop), counted("deny", "drop", 0)},
		{
			"it has no view of what route refuses", next,
			chain.LinkSpec{Stage: "route", Enabled: true, Use: full}, counted("continue", "deny", 0),
		},
		{"it has no view of what a broken gate refuses", next, link("gate", weak), counted("continue", "deny", 0)},
		{"it agrees with nobody when it failed", weak, routed, counted("failed", "answer", 0)},
		{
			"it fails when it panics",
			&fake{HandleFn: func(context.Context, *sdk.Envelope) (sdk.Decision, error) { panic("lost") }},
			routed, counted("failed", "answer", 0),
		},
		{"it is not asked about what its filter leaves out", choosing(sdk.Match{MinSize: 10}), routed, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := mustBuild(t, shadowed(link("shadow", tt.shadow)), tt.after)
			journey(t, c, &sdk.Envelope{Kind: sdk.KindSend})
			s := c.Stats()[0]
			if diff := cmp.Diff(tt.want, s.Shadow); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if len(s.Decisions) > 0 {
				t.Errorf("a link in shadow has decisions: %v", s.Decisions)
			}
			if failed := tt.want != nil && tt.want.Verdicts[0].Shadow == "failed"; failed != (s.Failed() == 1) {
				t.Errorf("%d failures", s.Failed())
			}
		})
	}
}

func TestShadowIsNotAskedAfterARefusal(t *testing.T) {
	c := mustBuild(t, link("gate", always(sdk.Refuse("no", ""))), shadowed(link("shadow", new(fake))))
	journey(t, c, new(sdk.Envelope))
	if got := c.Stats()[1].Shadow; got != nil {
		t.Errorf("got %+v", got)
	}
}

// meddler changes all that a stage can change.
func meddler() *fake {
	return &fake{
		HandleFn: func(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
			if _, err := env.Audience(ctx); err != nil {
				return sdk.Decision{}, err
			}
			env.Narrow(func(*sdk.Recipient) bool { return false })
			env.Note("shadow", "was here")
			env.Records = append(env.Records, sdk.Record{Event: "shadow"})
			env.Priority = sdk.PriorityNow
			return sdk.Decision{Verdict: sdk.Answer, Reply: "shadow"}, nil
		},
		RecordFn: func(env *sdk.Envelope, _ sdk.Decision) {
			env.Records = append(env.Records, sdk.Record{Event: "shadow"})
		},
	}
}

// two resolves every target to two recipients.
type two struct{}

func (two) Resolve(_ context.Context, _ *sdk.Envelope, dst []sdk.Recipient) ([]sdk.Recipient, error) {
	return append(dst, sdk.Recipient{MemberID: "ada"}, sdk.Recipient{MemberID: "bo"}), nil
}

func TestShadowHasNoEffect(t *testing.T) {
	resolve := &fake{HandleFn: func(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
		_, err := env.Audience(ctx)
		return sdk.Next(), err
	}}
	for name, links := range map[string][]chain.LinkSpec{
		"before the audience is resolved": {shadowed(link("shadow", meddler())), link("route", answering())},
		"after it is resolved":            {link("gate", resolve), shadowed(link("shadow", meddler())), link("route", answering())},
	} {
		t.Run(name, func(t *testing.T) {
			env := &sdk.Envelope{
				Kind: sdk.KindSend, Target: sdk.Target{Kind: sdk.TargetBroadcast}, Priority: sdk.PriorityLow, Directory: two{},
			}
			c := mustBuild(t, links...)
			for range 3 { // the copy is used again
				if d := journey(t, c, env); d.Verdict != sdk.Answer || d.Reply != nil {
					t.Fatalf("the stage in shadow decided: %+v", d)
				}
				audience, err := env.Audience(t.Context())
				if err != nil || len(audience) != 2 || env.Narrowed() != 0 || env.Priority != sdk.PriorityLow ||
					len(env.Attributes)+len(env.Records) != 0 {
					t.Fatalf("the stage in shadow changed the envelope: %+v, audience %v, %v", env, audience, err)
				}
			}
		})
	}
}

// submitting is a stage that can be asked without waiting. It keeps what to
// call for each envelope.
type submitting struct {
	fake
	full   bool
	panics bool

	mu    sync.Mutex
	calls []func(sdk.Decision, error)
}

func (s *submitting) Submit(_ *sdk.Envelope, done func(sdk.Decision, error)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.full {
		s.calls = append(s.calls, done)
	}
	if s.panics {
		panic("on purpose")
	}
	return !s.full
}

func (s *submitting) Handle(context.Context, *sdk.Envelope) (sdk.Decision, error) {
	panic("a stage that can be asked without waiting was asked to wait")
}

func TestShadowIsNotWaitedFor(t *testing.T) {
	stage := new(submitting)
	c := mustBuild(t, shadowed(link("shadow", stage)), link("route", answering()))
	verdictLast, verdictFirst := new(sdk.Envelope), new(sdk.Envelope)
	journey(t, c, verdictLast)
	if got := c.Stats()[0].Shadow; got != nil {
		t.Errorf("counted without a verdict: %+v", got)
	}
	stage.calls[0](sdk.Refuse("no", ""), nil)

	d, l := c.Run(t.Context(), verdictFirst)
	stage.calls[1](sdk.Decision{}, errBroken)
	stage.calls[1](sdk.Next(), nil) // a second call has no effect
	c.Done(verdictFirst, sdk.Outcome{Decision: d, Stage: l.Name()})
	want := &chain.ShadowStat{
		Verdicts:      []chain.ShadowCount{{Shadow: "failed", Chain: "answer", Count: 1}, {Shadow: "deny", Chain: "answer", Count: 1}},
		Disagreements: 1,
	}
	if diff := cmp.Diff(want, c.Stats()[0].Shadow); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestShadowThatPanicsInSubmit(t *testing.T) {
	stage := &submitting{panics: true}
	c := mustBuild(t, shadowed(link("shadow", stage)), link("route", answering()))
	journey(t, c, new(sdk.Envelope))
	if diff := cmp.Diff(counted("failed", "answer", 0), c.Stats()[0].Shadow); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestShadowDropsSamples(t *testing.T) {
	tests := []struct {
		name    string
		stage   *submitting
		walks   int
		ends    bool
		dropped uint64
	}{
		{"when the stage has no room", &submitting{full: true}, 3, true, 3},
		{"when too many verdicts are outstanding", new(submitting), 5000, true, 5000 - 4096},
		{"when too many envelopes have not ended", new(submitting), 5000, false, 5000 - 4096},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := mustBuild(t, shadowed(link("shadow", tt.stage)), link("route", answering()))
			for range tt.walks {
				env := new(sdk.Envelope)
				if d, _ := c.Run(t.Context(), env); tt.ends {
					c.Done(env, sdk.Outcome{Decision: d})
				}
			}
			if got := c.Stats()[0].Shadow.Dropped; got != tt.dropped {
				t.Errorf("%d dropped, want %d", got, tt.dropped)
			}
			for _, done := range tt.stage.calls {
				done(sdk.Next(), nil)
			}
			if got := c.Stats()[0].Shadow; tt.ends && !tt.stage.full && got.Verdicts[0].Count != 4096 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestShadowOfACallerThatWentAway(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := mustBuild(t, shadowed(link("shadow", &fake{HandleFn: func(ctx context.Context, _ *sdk.Envelope) (sdk.Decision, error) {
		cancel()
		return sdk.Decision{}, ctx.Err()
	}})), link("route", answering()))
	env := new(sdk.Envelope)
	d, _ := c.Run(ctx, env)
	c.Done(env, sdk.Outcome{Decision: d})
	if diff := cmp.Diff(&chain.ShadowStat{Dropped: 1}, c.Stats()[0].Shadow); diff != "" || c.Stats()[0].Failed() != 0 {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Many connections, two links in shadow, verdicts from other goroutines.
func TestShadowConcurrently(t *testing.T) {
	const conns, each = 8, 500
	stage := new(submitting)
	c := mustBuild(t, shadowed(link("a", stage)), shadowed(link("b", always(sdk.Refuse("no", "")))), link("route", answering()))
	var wg sync.WaitGroup
	for range conns {
		wg.Go(func() {
			env := new(sdk.Envelope)
			for range each {
				journey(t, c, env)
				stage.mu.Lock()
				done := stage.calls[len(stage.calls)-1]
				stage.calls = stage.calls[:len(stage.calls)-1]
				stage.mu.Unlock()
				done(sdk.Next(), nil)
			}
		})
	}
	wg.Wait()
	for i, want := range []*chain.ShadowStat{
		{Verdicts: []chain.ShadowCount{{Shadow: "continue", Chain: "answer", Count: conns * each}}},
		{Verdicts: []chain.ShadowCount{{Shadow: "deny", Chain: "answer", Count: conns * each}}, Disagreements: conns * each},
	} {
		if diff := cmp.Diff(want, c.Stats()[i].Shadow); diff != "" {
			t.Errorf("link %d (-want +got):\n%s", i, diff)
		}
	}
}

// atOnce is a stage whose verdict is there when Submit returns.
type atOnce struct{ fake }

func (*atOnce) Submit(_ *sdk.Envelope, done func(sdk.Decision, error)) bool {
	done(sdk.Next(), nil)
	return true
}

func TestShadowDoesNotAllocate(t *testing.T) {
	for name, stage := range map[string]sdk.Stage{"asked on the walk": new(fake), "asked aside": new(atOnce)} {
		t.Run(name, func(t *testing.T) {
			c := mustBuildSpec(t, chain.Spec{
				Links: []chain.LinkSpec{shadowed(link("shadow", stage)), link("route", answering())}, Insecure: true, Timing: 1,
			})
			env := &sdk.Envelope{Kind: sdk.KindSend, Attributes: []sdk.Attribute{{Key: "a", Value: "b"}}}
			env.SetAudience(make([]sdk.Recipient, 3))
			if n := testing.AllocsPerRun(1000, func() { journey(t, c, env) }); n != 0 {
				t.Errorf("%v allocations an envelope, want 0", n)
			}
		})
	}
}

func TestShadowIsForGates(t *testing.T) {
	links := on("auth", "grants", "route", "audit")
	for i := range links {
		links[i].Shadow = true
	}
	_, err := chain.Build(chain.Spec{Links: links}, builtin)
	want := `pipeline[0] auth: shadow is for stages that judge, and this one is of the role auth; take shadow out
pipeline[2] route: shadow is for stages that judge, and this one is of the role route; take shadow out
pipeline[3] audit: shadow is for stages that judge, and this one is of the role observer; take shadow out`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func BenchmarkShadow(b *testing.B) {
	for _, bm := range []struct {
		name  string
		stage sdk.Stage
	}{{"asked on the walk", new(fake)}, {"asked aside", new(atOnce)}} {
		b.Run(bm.name, func(b *testing.B) {
			c := mustBuild(b, shadowed(link("shadow", bm.stage)), link("route", answering()))
			env := &sdk.Envelope{Kind: sdk.KindSend}
			b.ReportAllocs()
			for b.Loop() {
				journey(b, c, env)
			}
		})
	}
}

package sdktest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
)

type limits struct {
	Most int `json:"most" doc:"most bytes"`
}

// limit refuses what is long, and counts.
type limit struct {
	limits
	seen int
}

func newLimit(o limits) (*limit, error) { return &limit{limits: o}, nil }

func (l *limit) Handle(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	if env.Size > l.Most {
		return sdk.Refuse("too_long", "write less"), nil
	}
	return sdk.Next(), nil
}

func (l *limit) Match() sdk.Match {
	return sdk.Match{Kinds: []sdk.Kind{"send", "http.*"}, Targets: []sdk.TargetKind{sdk.TargetGroup}, MaxSize: 400}
}

func (l *limit) Done(*sdk.Envelope, sdk.Outcome) { l.seen++ }

func TestConformance(t *testing.T) {
	Conformance(t, plugin.Plugin{
		Name: "good", Version: "1.0.0",
		Stages: []plugin.Stage{
			plugin.Define("limit", limits{}, newLimit, plugin.Summary("refuses what is long"),
				plugin.Needs(plugin.IdentityRead, plugin.AudienceRead, plugin.PayloadBytes, plugin.CredentialRead), plugin.Parallel(2)),
			plugin.DefineObserver("count", limits{}, newLimit, plugin.Summary("counts")),
		},
	}, StageOptions("limit", `{"most": 300}`))
}

// wanter refuses what it should not see.
type wanter struct {
	limit
	identity bool
	seen     map[bool]int // by whether it was granted
}

func (w *wanter) Granted(g plugin.Grants) error {
	w.identity = g.Has(plugin.IdentityRead)
	w.seen[w.identity]++
	return nil
}

func (w *wanter) Handle(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	if (env.Sender.Name != "") != w.identity {
		return sdk.Decision{}, errors.New("it sees what it was not granted, or the other way round")
	}
	return sdk.Next(), nil
}

func TestConformanceWithAllThatIsWanted(t *testing.T) {
	granted := make(map[bool]int)
	Conformance(t, plugin.Plugin{
		Name: "good", Version: "1.0.0",
		Stages: []plugin.Stage{plugin.Define("wanter", limits{}, func(o limits) (*wanter, error) {
			return &wanter{limit: limit{limits: o}, seen: granted}, nil
		}, plugin.Summary("wants"), plugin.Wants(plugin.IdentityRead), plugin.Env("A_SECRET"))},
	})
	if granted[true] == 0 || granted[false] == 0 {
		t.Errorf("granted %v", granted)
	}
}

func TestABrokenPluginIsFound(t *testing.T) {
	define := func(h func(context.Context, *sdk.Envelope) (sdk.Decision, error), more ...plugin.Option) plugin.Stage {
		return plugin.Define("broken", limits{}, func(limits) (*stage, error) { return &stage{handle: h}, nil }, more...)
	}
	next := func(context.Context, *sdk.Envelope) (sdk.Decision, error) { return sdk.Next(), nil }
	tests := []struct {
		check string
		stage plugin.Stage
		want  string
	}{
		{"it says hello", define(next), "no semantic version"},
		{"it describes its stages", define(next), "no summary"},
		{"it describes its stages", define(next, plugin.Needs("everything")), `"everything", which is no capability`},
		{"it describes its stages", define(next, plugin.Wants("everything")), `wants "everything", which is no capability`},
		{"it describes its stages", define(next, plugin.Needs(plugin.VerdictDrop), plugin.Wants(plugin.VerdictDrop)), "needs it anyway"},
		{"it describes its stages", define(next, plugin.Env("A-B")), "no name that a config can list"},
		{"its schemas accept its examples", plugin.Define("s", limits{}, func(limits) (*stage, error) { panic("new") }), "panic: new"},
		{"it answers every batch", define(func(context.Context, *sdk.Envelope) (sdk.Decision, error) { return sdk.Decision{}, nil }), "decided nothing"},
		{"it answers every batch", define(func(context.Context, *sdk.Envelope) (sdk.Decision, error) {
			return sdk.Decision{Verdict: sdk.Deny}, nil
		}), "without a reason"},
		{"it survives strange envelopes", define(func(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
			_ = env.Kind[0]
			return sdk.Next(), nil
		}), "index out of range"},
	}
	for _, tt := range tests {
		t.Run(tt.check+": "+tt.want, func(t *testing.T) {
			c := conformance{plugin: plugin.Plugin{Name: "bad", Version: "one", Stages: []plugin.Stage{tt.stage}}}
			for _, check := range checks {
				if check.name != tt.check {
					continue
				}
				if found := strings.Join(c.run(check.run), "\n"); !strings.Contains(found, tt.want) {
					t.Errorf("found %q, want %q in it", found, tt.want)
				}
				return
			}
			t.Error("there is no such check")
		})
	}
}

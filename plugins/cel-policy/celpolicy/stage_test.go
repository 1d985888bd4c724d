package celpolicy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
	"github.com/claudemesh/broker/sdk/sdktest"
)

func options(rules ...Rule) Options {
	o := Default()
	o.Rules = rules
	return o
}

func mustStage(t testing.TB, o Options) *Stage {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// envelope is a large message from ada to @ops, on a Saturday.
func envelope() *sdk.Envelope {
	return &sdk.Envelope{
		Kind: sdk.KindSend, Mesh: "mesh-1", MessageID: "m1", Priority: sdk.PriorityNext, Size: 9000,
		Arrived:    time.Date(2026, 8, 8, 11, 0, 0, 0, time.UTC),
		Sender:     sdk.Sender{MemberID: "member-1", Member: sdk.Key{1}, Session: sdk.Key{2}, Name: "ada", Remote: "192.0.2.1"},
		Target:     sdk.Target{Kind: sdk.TargetGroup, Name: "ops/eu", Spec: "@ops/eu"},
		Attributes: []sdk.Attribute{{Key: "risk.score", Value: "7"}, {Key: "risk.score", Value: "9"}},
	}
}

func TestTheRulesOfAStage(t *testing.T) {
	sdktest.Run(t, func() sdk.Stage {
		return mustStage(t, options(
			Rule{Name: "large", When: "message.size > 4096", Then: Refuse},
			Rule{Name: "low", When: `message.priority == "low"`, Then: Drop},
			Rule{Name: "later", When: `message.target.name == "ops" && !("x" in attributes)`, Then: Hold, For: plugin.Duration(time.Hour)},
		))
	}, envelope)
}

func TestGrantedRefusesRulesThatUseMore(t *testing.T) {
	s := mustStage(t, options(Rule{Name: "bots", When: `message.sender.name.startsWith("bot-")`, Then: Drop}))
	for _, tt := range []struct {
		granted plugin.Grants
		want    string
	}{
		{plugin.Grants{plugin.VerdictDrop}, "message.sender.name needs identity.read; the link has to grant it"},
		{plugin.Grants{plugin.IdentityRead}, "rules.0.then: drop needs verdict.drop; the link has to grant it"},
		{plugin.Grants{plugin.VerdictDrop, plugin.IdentityRead}, ""},
	} {
		err := s.Granted(tt.granted)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("with %v: got %v, want %q in it", tt.granted, err, tt.want)
		}
	}
}

func TestEachVariable(t *testing.T) {
	for _, expression := range []string{
		`message.kind == "send"`,
		`message.id == "m1"`,
		`message.mesh == "mesh-1"`,
		`message.priority == "next"`,
		`message.size == 9000`,
		`message.arrived == timestamp("2026-08-08T11:00:00Z")`,
		`message.arrived.getDayOfWeek() == 6`,
		`message.arrived.getHours("Europe/Madrid") == 13`,
		`message.target.kind == "group"`,
		`message.target.name.startsWith("ops/")`,
		`message.target.key == ""`,
		`message.sender.member == "01" + "00".replace("00", "0000000000") + "` + strings.Repeat("0", 52) + `"`,
		`message.sender.session.startsWith("02")`,
		`message.sender.member_id == "member-1"`,
		`message.sender.name in ["ada", "bo"]`,
		`message.sender.remote.matches("^192[.]0[.]2[.]")`,
		`attributes["risk.score"] == "9"`,
		`int(attributes["risk.score"]) > 8 && !("other" in attributes)`,
		`attributes.exists(k, k.startsWith("risk."))`,
	} {
		t.Run(expression, func(t *testing.T) {
			s := mustStage(t, options(Rule{Name: "r", When: expression, Then: Refuse}))
			d, err := s.Handle(t.Context(), envelope())
			if err != nil || d.Verdict != sdk.Deny {
				t.Errorf("got %+v, %v, want it to be true", d, err)
			}
		})
	}
}

func TestWhatRulesDo(t *testing.T) {
	late := envelope().Arrived.Add(2 * time.Hour)
	tests := []struct {
		name     string
		rules    []Rule
		standard Then
		want     sdk.Decision
		held     time.Time
		priority sdk.Priority
	}{
		{
			name: "refuse with all that it says", priority: sdk.PriorityNext,
			rules: []Rule{{Name: "r", When: "true", Then: Refuse, Reason: "too_big", Text: "no", RetryAfter: plugin.Duration(time.Minute)}},
			want:  sdk.Decision{Verdict: sdk.Deny, Reason: "too_big", Text: "no", RetryAfter: time.Minute},
		},
		{
			name: "refuse with nothing but a name", rules: []Rule{{Name: "r", When: "true", Then: Refuse}}, priority: sdk.PriorityNext,
			want: sdk.Decision{Verdict: sdk.Deny, Reason: "policy", Text: "refused by the rule r"},
		},
		{
			name: "drop", rules: []Rule{{Name: "r", When: "true", Then: Drop}}, priority: sdk.PriorityNext,
			want: sdk.Decision{Verdict: sdk.Drop, Reason: "policy"},
		},
		{
			name:  "hold, with less priority",
			rules: []Rule{{Name: "r", When: "true", Then: Hold, For: plugin.Duration(2 * time.Hour), Priority: "low"}},
			want:  sdk.Next(), held: late, priority: sdk.PriorityLow,
		},
		{
			name: "continue, and ask no other", priority: sdk.PriorityNow,
			rules: []Rule{{Name: "a", When: "true", Then: Continue, Priority: "now"}, {Name: "b", When: "true", Then: Refuse}},
			want:  sdk.Next(),
		},
		{
			name: "the first that applies decides", priority: sdk.PriorityNext,
			rules: []Rule{{Name: "a", When: "false", Then: Drop}, {Name: "b", When: "true", Then: Refuse}, {Name: "c", When: "true", Then: Drop}},
			want:  sdk.Decision{Verdict: sdk.Deny, Reason: "policy", Text: "refused by the rule b"},
		},
		{name: "none applies", rules: []Rule{{Name: "a", When: "false", Then: Drop}}, want: sdk.Next(), priority: sdk.PriorityNext},
		{
			name: "none applies, and the rest is refused", rules: []Rule{{Name: "a", When: "false", Then: Continue}}, standard: Refuse,
			want: sdk.Decision{Verdict: sdk.Deny, Reason: "policy", Text: "no rule allows this"}, priority: sdk.PriorityNext,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := options(tt.rules...)
			if tt.standard != "" {
				o.Default = tt.standard
			}
			env := envelope()
			d, err := mustStage(t, o).Handle(t.Context(), env)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, d); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
			if !env.HoldUntil.Equal(tt.held) || env.Priority != tt.priority {
				t.Errorf("held until %v with priority %v, want %v and %v", env.HoldUntil, env.Priority, tt.held, tt.priority)
			}
		})
	}
}

// What a rule does not look at may be as long as it likes.
func TestALongTextFailsTheEnvelope(t *testing.T) {
	env := envelope()
	env.Sender.Name = strings.Repeat("x", longestText+1)
	s := mustStage(t, options(
		Rule{Name: "a", When: `message.size < 10`, Then: Refuse},
		Rule{Name: "b", When: `message.sender.name != "ada" || true`, Then: Refuse}))
	if d, err := s.Handle(t.Context(), env); err == nil || !strings.Contains(err.Error(), "the rule b: a text has more") {
		t.Errorf("got %+v, %v, want an error", d, err)
	}
	env.Sender.Name = "ada"
	if d, err := s.Handle(t.Context(), env); err != nil || d.Verdict != sdk.Deny {
		t.Errorf("afterwards: got %+v, %v", d, err)
	}
}

// A rule that fails says nothing about the envelope: neither it nor those after
// it may let it through.
func TestAFailingRuleFailsTheEnvelope(t *testing.T) {
	for name, expression := range map[string]string{
		"no such key":     `attributes["none"] == "x"`,
		"overflow":        `message.size * 9223372036854775807 > 0`,
		"division":        `1 / (message.size - 9000) == 0`,
		"no number":       `int(message.sender.name) > 3`,
		"too dear":        `[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c, a + b + c + message.size > 0)))`,
		"unknown zone":    `message.arrived.getHours("Mars/Olympus") == 1`,
		"not a timestamp": `timestamp(message.sender.name) < message.arrived`,
	} {
		t.Run(name, func(t *testing.T) {
			o := options(Rule{Name: "bad", When: expression, Then: Refuse}, Rule{Name: "good", When: "true", Then: Continue})
			o.CostLimit = 1000
			d, err := mustStage(t, o).Handle(t.Context(), envelope())
			if err == nil || d.Verdict != sdk.Undecided || !strings.Contains(err.Error(), "the rule bad") {
				t.Errorf("got %+v, %v, want an error", d, err)
			}
		})
	}
}

func TestKinds(t *testing.T) {
	o := options(Rule{Name: "r", When: "true", Then: Continue})
	if diff := cmp.Diff([]sdk.Kind{sdk.KindSend}, mustStage(t, o).Kinds()); diff != "" {
		t.Errorf("by default (-want +got):\n%s", diff)
	}
	o.Kinds = []sdk.Kind{"*"}
	if got := mustStage(t, o).Kinds(); got != nil {
		t.Errorf("for all: got %v", got)
	}
}

// A rule whose cost is bounded takes an allocation for a text that it looks at,
// and for a size beyond 255, and no other. The race detector empties pools, which
// costs some more.
func TestAllocations(t *testing.T) {
	s := mustStage(t, benchmarked())
	env := envelope()
	n := testing.AllocsPerRun(1000, func() {
		if _, err := s.Handle(t.Context(), env); err != nil {
			t.Fatal(err)
		}
	})
	if n > mostAllocations {
		t.Errorf("got %v allocations for three rules, want at most %d", n, mostAllocations)
	}
}

const mostAllocations = 6

func benchmarked() Options {
	return options(
		Rule{Name: "large", When: `message.target.kind == "broadcast" && message.size > 4096`, Then: Refuse},
		Rule{Name: "bots", When: `message.sender.name.startsWith("bot-") && message.priority == "now"`, Then: Refuse},
		Rule{Name: "kind", When: `message.kind != "send" || message.size > 65536`, Then: Refuse},
	)
}

func BenchmarkHandle(b *testing.B) {
	s := mustStage(b, benchmarked())
	env := envelope()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Handle(b.Context(), env); err != nil {
			b.Fatal(err)
		}
	}
}

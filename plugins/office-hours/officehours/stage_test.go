package officehours_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/plugins/office-hours/officehours"
	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
	"github.com/claudemesh/broker/sdk/sdktest"
)

func options(change func(*officehours.Options)) officehours.Options {
	o := officehours.Default()
	if change != nil {
		change(&o)
	}
	return o
}

func withGroups(o *officehours.Options) {
	o.Groups = map[string]officehours.Group{
		"ops":       {Open: []string{"daily 00:00-24:00"}, Closed: []string{"2026-08-08"}},
		"ops/tokyo": {Timezone: "Asia/Tokyo"},
	}
}

var (
	monday   = time.Date(2026, 8, 3, 11, 0, 0, 0, time.UTC)
	saturday = time.Date(2026, 8, 8, 11, 0, 0, 0, time.UTC)
	nextWeek = time.Date(2026, 8, 10, 9, 0, 0, 0, time.UTC)
)

func TestTheRulesOfAStage(t *testing.T) {
	for _, outside := range []officehours.Outside{officehours.Hold, officehours.Refuse} {
		t.Run(string(outside), func(t *testing.T) {
			sdktest.Run(t, func() sdk.Stage {
				stage, err := officehours.New(options(func(o *officehours.Options) { o.Outside = outside; withGroups(o) }))
				if err != nil {
					t.Fatal(err)
				}
				return stage
			}, func() *sdk.Envelope { return message(saturday, "@ops/tokyo", sdk.PriorityLow) })
		})
	}
}

func message(at time.Time, target string, p sdk.Priority) *sdk.Envelope {
	to, err := sdk.ParseTarget(target)
	if err != nil {
		panic(err)
	}
	return &sdk.Envelope{Kind: sdk.KindSend, Priority: p, Arrived: at, Target: to}
}

func TestHandle(t *testing.T) {
	bo := sdk.Key{1}.String()
	refused := sdk.Decision{
		Verdict: sdk.Deny, Reason: officehours.Reason, RetryAfter: nextWeek.Sub(saturday),
		Text: "outside office hours; open again Mon 2026-08-10 09:00 UTC. What cannot wait goes with priority now",
	}
	tests := []struct {
		name   string
		refuse bool
		env    *sdk.Envelope
		want   sdk.Decision
		held   time.Time
	}{
		{name: "inside the hours it goes on", env: message(monday, bo, sdk.PriorityNext), want: sdk.Next()},
		{name: "outside it is held", env: message(saturday, bo, sdk.PriorityNext), want: sdk.Next(), held: nextWeek},
		{name: "what is low is held too", env: message(saturday, bo, sdk.PriorityLow), want: sdk.Next(), held: nextWeek},
		{name: "what is urgent goes on", env: message(saturday, bo, sdk.PriorityNow), want: sdk.Next()},
		{name: "a broadcast has the hours of everybody", env: message(saturday, "*", sdk.PriorityNext), want: sdk.Next(), held: nextWeek},
		{name: "a topic too", env: message(saturday, "#ops", sdk.PriorityNext), want: sdk.Next(), held: nextWeek},
		{name: "a group has its own", env: message(saturday.AddDate(0, 0, 1), "@ops", sdk.PriorityNext), want: sdk.Next()},
		{
			name: "and its own closed dates", env: message(saturday, "@ops", sdk.PriorityNext), want: sdk.Next(),
			held: time.Date(2026, 8, 9, 0, 0, 0, 0, time.UTC),
		},
		{name: "a group below has those of the nearest above", env: message(saturday.AddDate(0, 0, 1), "@ops/eu/night", sdk.PriorityNext), want: sdk.Next()},
		{
			name: "unless it is listed", env: message(saturday, "@ops/tokyo/one", sdk.PriorityNext), want: sdk.Next(),
			held: time.Date(2026, 8, 10, 0, 0, 0, 0, time.UTC),
		},
		{name: "a name that only begins alike is another group", env: message(saturday, "@opsy", sdk.PriorityNext), want: sdk.Next(), held: nextWeek},
		{name: "a refusal says when", refuse: true, env: message(saturday, bo, sdk.PriorityNext), want: refused},
		{name: "inside the hours nothing is refused", refuse: true, env: message(monday, bo, sdk.PriorityNext), want: sdk.Next()},
		{name: "what is urgent is not refused", refuse: true, env: message(saturday, bo, sdk.PriorityNow), want: sdk.Next()},
		{name: "another kind goes on", env: &sdk.Envelope{Kind: sdk.KindHello, Arrived: saturday, Priority: sdk.PriorityNext}, want: sdk.Next()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stage, err := officehours.New(options(func(o *officehours.Options) {
				withGroups(o)
				if tt.refuse {
					o.Outside = officehours.Refuse
				}
			}))
			if err != nil {
				t.Fatal(err)
			}
			got, err := stage.Handle(t.Context(), tt.env)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
			if !tt.env.HoldUntil.Equal(tt.held) {
				t.Errorf("held until %v, want %v", tt.env.HoldUntil, tt.held)
			}
		})
	}
}

// What an earlier stage holds until Sunday is not to arrive on Sunday.
func TestAHoldThatEndsOutsideTheHoursIsPutOff(t *testing.T) {
	stage, err := officehours.New(options(nil))
	if err != nil {
		t.Fatal(err)
	}
	env := message(monday, "*", sdk.PriorityNext)
	env.Hold(saturday)
	if _, err := stage.Handle(t.Context(), env); err != nil || !env.HoldUntil.Equal(nextWeek) {
		t.Errorf("held until %v (%v), want %v", env.HoldUntil, err, nextWeek)
	}
}

// A plugin without identity.read sees that a message is for a group, and not
// for which.
func TestAGroupWithoutANameFails(t *testing.T) {
	stage, err := officehours.New(options(withGroups))
	if err != nil {
		t.Fatal(err)
	}
	env := &sdk.Envelope{Kind: sdk.KindSend, Priority: sdk.PriorityNext, Arrived: saturday, Target: sdk.Target{Kind: sdk.TargetGroup}}
	if d, err := stage.Handle(t.Context(), env); err == nil || !strings.Contains(err.Error(), "identity.read") {
		t.Errorf("got %+v, %v", d, err)
	}
}

func TestOptionsSayWhatIsWrong(t *testing.T) {
	tests := []struct {
		want   string
		change func(*officehours.Options)
	}{
		{"timezone: ", func(o *officehours.Options) { o.Timezone = "Mars/Olympus" }},
		{"timezone: ", func(o *officehours.Options) { o.Timezone = "" }},
		{"timezone: ", func(o *officehours.Options) { o.Timezone = "Local" }},
		{"open: is empty", func(o *officehours.Options) { o.Open = nil }},
		{"open.1: ", func(o *officehours.Options) { o.Open = append(o.Open, "Mon 9") }},
		{"closed.0: ", func(o *officehours.Options) { o.Closed = []string{"soon"} }},
		{"outside: ", func(o *officehours.Options) { o.Outside = "drop" }},
		{"groups.@ops: ", func(o *officehours.Options) { o.Groups = map[string]officehours.Group{"@ops": {}} }},
		{"groups.ops.open.0: ", func(o *officehours.Options) {
			o.Groups = map[string]officehours.Group{"ops": {Open: []string{"x"}}}
		}},
		{"groups.ops.timezone: ", func(o *officehours.Options) {
			o.Groups = map[string]officehours.Group{"ops": {Timezone: "x"}}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			_, err := officehours.New(options(tt.change))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestHoursOfGroupsNeedIdentity(t *testing.T) {
	hold, both := plugin.Grants{plugin.DeliveryHold}, plugin.Grants{plugin.DeliveryHold, plugin.IdentityRead}
	for _, tt := range []struct {
		name    string
		change  func(*officehours.Options)
		granted plugin.Grants
		want    string
	}{
		{"everybody's hours need nothing more", nil, hold, ""},
		{"those of groups do", withGroups, hold, "groups: hours of groups need identity.read"},
		{"and have it", withGroups, both, ""},
	} {
		stage, err := officehours.New(options(tt.change))
		if err == nil {
			err = stage.Granted(tt.granted)
		}
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q in it", tt.name, err, tt.want)
		}
	}
}

func BenchmarkHandle(b *testing.B) {
	stage, err := officehours.New(options(nil))
	if err != nil {
		b.Fatal(err)
	}
	env := message(saturday, "*", sdk.PriorityNext)
	b.ReportAllocs()
	for b.Loop() {
		env.HoldUntil = time.Time{}
		if _, err := stage.Handle(b.Context(), env); err != nil {
			b.Fatal(err)
		}
	}
}

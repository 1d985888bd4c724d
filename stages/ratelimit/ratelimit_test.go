package ratelimit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/sdktest"
	"github.com/claudemesh/broker/stages/ratelimit"
)

var noon = time.Date(2026, 8, 3, 12, 0, 0, 0, time.UTC)

func atNoon() time.Time { return noon }

func limit(t testing.TB, text string) (l config.Limit) {
	t.Helper()
	if err := l.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return l
}

func envelope(kind sdk.Kind, member string, at time.Time) *sdk.Envelope {
	return &sdk.Envelope{Kind: kind, Mesh: "mesh-1", Sender: sdk.Sender{MemberID: member}, Arrived: at}
}

func handle(t testing.TB, s *ratelimit.Stage, env *sdk.Envelope) sdk.Decision {
	t.Helper()
	d, err := s.Handle(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestVectors(t *testing.T) {
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Capacity        int     `json:"capacity"`
		RefillPerMinute int     `json:"refill_per_minute"`
		TimesMS         []int64 `json:"times_ms"`
		Expect          []bool
	}
	if err := json.Unmarshal(text, &vectors); err != nil || len(vectors) == 0 {
		t.Fatal(len(vectors), err)
	}
	for i, v := range vectors {
		o := ratelimit.Options{Send: limit(t, fmt.Sprint(v.RefillPerMinute, "/min")), Burst: v.Capacity}
		s := ratelimit.New(o, atNoon)
		for j, ms := range v.TimesMS {
			d := handle(t, s, envelope(sdk.KindSend, "ada", time.UnixMilli(ms)))
			if got := d.Verdict == sdk.Continue; got != v.Expect[j] {
				t.Errorf("vector %d, take %d at %d: got %v", i, j, ms, got)
			}
		}
	}
}

func TestHandle(t *testing.T) {
	type take struct {
		kind   sdk.Kind
		member string
		at     time.Duration // after noon
		times  int
		want   sdk.Decision // of the last
	}
	denied := func(text string, wait time.Duration) sdk.Decision {
		return sdk.Decision{Verdict: sdk.Deny, Reason: sdk.ReasonRateLimit, Text: text, RetryAfter: wait}
	}
	ten := "rate_limit: max 60 msg/min (burst 10)"
	const send = sdk.KindSend
	tests := []struct {
		name    string
		options func(*ratelimit.Options)
		takes   []take
	}{
		{"it denies one over the burst and says how long to wait", nil, []take{
			{send, "ada", 0, 10, sdk.Next()}, {send, "ada", 0, 1, denied(ten, time.Second)},
		}},
		{"it counts a refused take for nothing", nil, []take{
			{send, "ada", 0, 100, denied(ten, time.Second)}, {send, "ada", 400 * time.Millisecond, 1, denied(ten, 600*time.Millisecond)},
			{send, "ada", time.Second, 1, sdk.Next()},
		}},
		{"it adds nothing when time goes backwards, then or later", nil, []take{
			{send, "ada", time.Minute, 10, sdk.Next()}, {send, "ada", 0, 1, denied(ten, time.Second)},
			{send, "ada", time.Minute, 1, denied(ten, time.Second)},
		}},
		{"it gives each member a bucket", nil, []take{
			{send, "ada", 0, 10, sdk.Next()}, {send, "bo", 0, 10, sdk.Next()}, {send, "bo", 0, 1, denied(ten, time.Second)},
		}},
		{"it passes whom nobody has proved", nil, []take{{send, "", 0, 100, sdk.Next()}}},
		{"it limits nothing but messages unless told to", nil, []take{{"list_peers", "ada", 0, 1000, sdk.Next()}}},
		{"it names the limits that it has", func(o *ratelimit.Options) { o.Send, o.Burst = limit(t, "2/s"), 3 }, []take{
			{send, "ada", 0, 4, denied("rate_limit: max 2 msg/s (burst 3)", 500*time.Millisecond)},
		}},
		{"it rounds the wait up", func(o *ratelimit.Options) { o.Send, o.Burst = limit(t, "7/s"), 1 }, []take{
			{send, "ada", 0, 2, denied("rate_limit: max 7 msg/s (burst 1)", 143*time.Millisecond)},
			{send, "ada", 143 * time.Millisecond, 1, sdk.Next()},
		}},
		{"it is off when told so", func(o *ratelimit.Options) { o.Send = limit(t, "off") }, []take{{send, "ada", 0, 1000, sdk.Next()}}},
		{"it limits requests apart from messages", func(o *ratelimit.Options) { o.Requests = limit(t, "600/min") }, []take{
			{"list_peers", "ada", 0, 50, sdk.Next()}, {"set_state", "ada", 0, 50, sdk.Next()},
			{"list_peers", "ada", 0, 1, denied("rate_limit: max 600 requests/min (burst 100)", 100*time.Millisecond)},
			{send, "ada", 0, 10, sdk.Next()},
		}},
		{"it lets hellos and receipts pass whatever the limit", func(o *ratelimit.Options) {
			o.Requests, o.RequestsBurst = limit(t, "1/h"), 1
		}, []take{
			{sdk.KindHello, "ada", 0, 100, sdk.Next()}, {sdk.KindSessionHello, "ada", 0, 100, sdk.Next()},
			{sdk.KindClientAck, "ada", 0, 100, sdk.Next()},
			{"list_peers", "ada", 0, 2, denied("rate_limit: max 1 requests/h (burst 1)", time.Hour)},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := ratelimit.DefaultOptions()
			if tt.options != nil {
				tt.options(&o)
			}
			s := ratelimit.New(o, atNoon)
			for i, take := range tt.takes {
				var got sdk.Decision
				for range take.times {
					got = handle(t, s, envelope(take.kind, take.member, noon.Add(take.at)))
				}
				if got != take.want {
					t.Errorf("take %d: got %+v, want %+v", i, got, take.want)
				}
			}
		})
	}
}

func TestMeshesAreApart(t *testing.T) {
	s := ratelimit.New(ratelimit.DefaultOptions(), atNoon)
	for range 10 {
		handle(t, s, envelope(sdk.KindSend, "ada", noon))
	}
	other := envelope(sdk.KindSend, "ada", noon)
	other.Mesh = "mesh-2"
	if d := handle(t, s, other); d.Verdict != sdk.Continue {
		t.Errorf("a member's bucket of one mesh counts in another: %+v", d)
	}
}

func TestClockWithoutArrival(t *testing.T) {
	now := noon
	s := ratelimit.New(ratelimit.DefaultOptions(), func() time.Time { return now })
	env := envelope(sdk.KindSend, "ada", time.Time{})
	for range 11 {
		handle(t, s, env)
	}
	now = now.Add(time.Second)
	if d := handle(t, s, env); d.Verdict != sdk.Continue {
		t.Errorf("got %+v a second later", d)
	}
}

func TestKindsAndKey(t *testing.T) {
	o := ratelimit.DefaultOptions()
	s := ratelimit.New(o, atNoon)
	if k := s.Kinds(); len(k) != 1 || k[0] != sdk.KindSend {
		t.Errorf("by default it wants %v", k)
	}
	if same := ratelimit.New(o, time.Now); same.Key() != s.Key() {
		t.Errorf("equal options have the keys %q and %q", s.Key(), same.Key())
	}
	o.Requests = limit(t, "600/min")
	other := ratelimit.New(o, atNoon)
	if k := other.Kinds(); len(k) != 0 {
		t.Errorf("with a limit for requests it wants %v only", k)
	}
	if other.Key() == s.Key() {
		t.Errorf("other options have the same key %q", s.Key())
	}
}

func TestOptions(t *testing.T) {
	tests := []struct {
		name string
		with map[string]any
		want string // the options' key, or empty for an error
	}{
		{"it has the original's limits by default", nil, "60/min 10 off 0"},
		{"it reads rates and bursts", map[string]any{"send": "5/s", "burst": 20, "requests": "1000/h", "requests_burst": 9}, "5/s 20 1000/h 9"},
		{"it reads off", map[string]any{"send": "off"}, "off 10 off 0"},
		{"it refuses a rate of nothing", map[string]any{"send": "0/min"}, ""},
		{"it refuses other words", map[string]any{"send": "never"}, ""},
		{"it refuses a burst of nothing", map[string]any{"burst": 0}, ""},
		{"it refuses an option that it does not have", map[string]any{"brust": 1}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := ratelimit.DefaultOptions()
			err := config.DecodeWith(config.Link{Stage: "rate-limit", With: tt.with}, &o)
			got := ratelimit.New(o, atNoon).Key()
			if (err != nil) != (tt.want == "") || err == nil && got != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
	bad := ratelimit.Options{RequestsBurst: -1, Burst: 1}
	if err := bad.Validate(); err == nil {
		t.Error("a negative burst is taken")
	}
	if text, err := limit(t, "5/s").MarshalText(); err != nil || string(text) != "5/s" {
		t.Errorf("got %s, %v", text, err)
	}
}

// A bucket is exact also when many take from it: no token twice, none lost.
func TestConcurrentTakes(t *testing.T) {
	o := ratelimit.DefaultOptions()
	o.Burst = 1000
	s := ratelimit.New(o, atNoon)
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 200 {
				if handle(t, s, envelope(sdk.KindSend, "ada", noon)).Verdict == sdk.Continue {
					passed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := passed.Load(); n != 1000 {
		t.Errorf("%d of 3200 passed a bucket of 1000", n)
	}
}

func TestStage(t *testing.T) {
	sdktest.Run(t, func() sdk.Stage {
		o := ratelimit.DefaultOptions()
		o.Requests = limit(t, "60/min")
		return ratelimit.New(o, time.Now)
	})
}

func TestHandleDoesNotAllocate(t *testing.T) {
	s := ratelimit.New(ratelimit.DefaultOptions(), time.Now)
	env, ctx := envelope(sdk.KindSend, "ada", time.Now()), context.Background()
	n := testing.AllocsPerRun(1000, func() { _, _ = s.Handle(ctx, env) })
	if n != 0 {
		t.Errorf("%v allocations a message, want 0", n)
	}
}

func BenchmarkHandle(b *testing.B) {
	o := ratelimit.DefaultOptions()
	o.Send, o.Burst = limit(b, "1000000/s"), 1000
	s, epoch := ratelimit.New(o, time.Now), time.Now()
	b.Run("one", func(b *testing.B) {
		env, ctx := envelope(sdk.KindSend, "ada", epoch), b.Context()
		b.ReportAllocs()
		for b.Loop() {
			env.Arrived = env.Arrived.Add(time.Microsecond)
			_, _ = s.Handle(ctx, env)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		var members atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			env, ctx := envelope(sdk.KindSend, fmt.Sprint("member-", members.Add(1)), epoch), b.Context()
			for pb.Next() {
				env.Arrived = env.Arrived.Add(time.Microsecond)
				_, _ = s.Handle(ctx, env)
			}
		})
	})
}

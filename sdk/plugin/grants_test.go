package plugin_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// eager does more with audience.read, and cannot do without it when it is told
// to count.
type eager struct {
	handle
	count   bool
	granted plugin.Grants
	calls   []string
}

type eagerOptions struct {
	Count bool `json:"count"`
}

func (e *eager) Granted(g plugin.Grants) error {
	e.granted, e.calls = g, append(e.calls, "granted")
	if e.count && !g.Has(plugin.AudienceRead) {
		return &plugin.OptionError{Path: "count", Message: "counting needs audience.read"}
	}
	return nil
}

func (e *eager) Start(context.Context) error { e.calls = append(e.calls, "start"); return nil }

func TestOptionalCapabilities(t *testing.T) {
	var made *eager
	r := serve(t, plugin.Define("eager", eagerOptions{}, func(o eagerOptions) (*eager, error) {
		made = &eager{handle: next, count: o.Count}
		return made, nil
	}, plugin.Needs(plugin.PayloadHash), plugin.Wants(plugin.AudienceRead), plugin.Env("SECRET", "TOKEN")))
	list, err := r.Describe(r.context(), &pluginpb.DescribeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	about := list.Stages[0]
	if !slices.Equal(about.Capabilities, []string{"payload.hash"}) || !slices.Equal(about.OptionalCapabilities, []string{"audience.read"}) ||
		!slices.Equal(about.Environment, []string{"SECRET", "TOKEN"}) {
		t.Errorf("described as %v", about)
	}

	const wanting = "count: counting needs audience.read"
	validate := []struct {
		name string
		req  *pluginpb.ValidateRequest
		want string
	}{
		{"options that want more than is granted are wrong", &pluginpb.ValidateRequest{HasGranted: true}, wanting},
		{"those that do not are right", &pluginpb.ValidateRequest{HasGranted: true, Granted: []string{"audience.read"}}, ""},
		{"without a link nothing is said", &pluginpb.ValidateRequest{}, ""},
	}
	for _, tt := range validate {
		tt.req.Stage, tt.req.Options = "eager", []byte(`{"count": true}`)
		resp, err := r.Validate(r.context(), tt.req)
		if err != nil || said(resp.Diagnostics) != tt.want {
			t.Errorf("%s: got %v, %v", tt.name, resp, err)
		}
	}

	resp, err := r.Configure(r.context(), &pluginpb.ConfigureRequest{
		Stage: "eager", Instance: "zero", Options: []byte(`{"count": true}`), Granted: []string{"payload.hash"},
	})
	if err != nil || said(resp.Diagnostics) != wanting || slices.Contains(made.calls, "start") {
		t.Errorf("configured without what its options want: %v, %v, %v", resp, err, made.calls)
	}
	r.configure("eager", "one", "", "payload.hash", "audience.read")
	if want := []string{"granted", "start"}; !slices.Equal(made.calls, want) || made.granted.Has(plugin.IdentityRead) || !made.granted.Has(plugin.AudienceRead) {
		t.Errorf("called %v with %v, want %v", made.calls, made.granted, want)
	}
}

func said(diagnostics []*pluginpb.Diagnostic) string {
	var all []string
	for _, d := range diagnostics {
		all = append(all, d.Path+": "+d.Message)
	}
	return strings.Join(all, "\n")
}

// told is an observer that counts the gaps.
type told struct {
	calls chan string
}

func (o told) Done(env *sdk.Envelope, _ sdk.Outcome) { o.calls <- env.MessageID }
func (o told) Missed(n uint64)                       { o.calls <- strings.Repeat("?", int(n)) }

func TestMissedOutcomes(t *testing.T) {
	o := told{calls: make(chan string, 10)}
	_, s := configured(t, plugin.DefineObserver("told", none{}, func(none) (told, error) { return o, nil }))
	outcome := func(id string) []*pluginpb.Outcome { return []*pluginpb.Outcome{{Envelope: envelope(1, id)}} }
	s.send(&pluginpb.HostFrame{Outcomes: &pluginpb.Outcomes{Seq: 1, Outcomes: outcome("a")}})
	s.send(&pluginpb.HostFrame{Outcomes: &pluginpb.Outcomes{Seq: 2, Outcomes: outcome("b"), Missed: 3}})
	s.send(&pluginpb.HostFrame{Outcomes: &pluginpb.Outcomes{Seq: 3, Outcomes: outcome("c")}})
	var got []string
	for range 4 {
		got = append(got, <-o.calls)
	}
	if diff := cmp.Diff([]string{"a", "???", "b", "c"}, got); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// slow notes how much time Stop has.
type slow struct {
	handle
	left chan time.Duration
}

func (s slow) Stop(ctx context.Context) error {
	end, _ := ctx.Deadline()
	s.left <- time.Until(end)
	return nil
}

func TestTheTimeOfStop(t *testing.T) {
	tests := []struct {
		name        string
		drain       time.Duration // 0: the stream just ends
		least, most time.Duration
	}{
		{"is that of the drain", patience, 6 * time.Second, patience - 250*time.Millisecond},
		{"leaves a tenth of a short drain", 2 * time.Second, 500 * time.Millisecond, 1800 * time.Millisecond},
		{"is 5s when nobody says", 0, 4 * time.Second, 5 * time.Second},
	}
	for _, tt := range tests {
		t.Run("it "+tt.name, func(t *testing.T) {
			st := slow{next, make(chan time.Duration, 1)}
			r, s := configured(t, plugin.Define("slow", none{}, func(none) (slow, error) { return st, nil }))
			if tt.drain > 0 {
				if _, err := r.Drain(r.context(), &pluginpb.DrainRequest{Instance: "one", DeadlineNanos: int64(tt.drain)}); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.CloseSend(); err != nil {
				t.Fatal(err)
			}
			if left := <-st.left; left < tt.least || left > tt.most {
				t.Errorf("Stop has %v, want from %v to %v", left, tt.least, tt.most)
			}
		})
	}
}

package plugin_test

import (
	"context"
	"testing"
	"time"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// speaker logs the name of its link wherever it is called.
type speaker struct{ kept context.Context }

func say(ctx context.Context, where string) {
	plugin.LoggerForTest(ctx).InfoContext(ctx, where, "link", plugin.Link(ctx))
}

func (s *speaker) Start(ctx context.Context) error {
	s.kept = context.WithoutCancel(ctx)
	say(ctx, "start")
	return nil
}

func (s *speaker) Handle(ctx context.Context, _ *sdk.Envelope) (sdk.Decision, error) {
	say(ctx, "handle")
	return sdk.Next(), nil
}

func (s *speaker) Done(*sdk.Envelope, sdk.Outcome) { say(s.kept, "done") }

func (s *speaker) Stop(ctx context.Context) error { say(ctx, "stop"); return nil }

// Two links share a process; what each stage logs goes over its own stream, also
// when the other's stream was there first.
func TestLogsOfALinkAreItsOwn(t *testing.T) {
	r := serve(t, plugin.Define("speaker", none{}, func(none) (*speaker, error) { return &speaker{}, nil }))
	r.hello()
	streams := make(map[string]*stream)
	for _, link := range []string{"ada", "bo"} {
		_, err := r.Configure(r.context(), &pluginpb.ConfigureRequest{Instance: link + "#1", Stage: "speaker", Link: link})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, link := range []string{"ada", "bo"} {
		streams[link] = r.open(link + "#1")
	}
	for link, s := range streams {
		s.batch(1, envelope(1, ""))
		s.wantLogs(t, link, "start", "handle")
		s.send(&pluginpb.HostFrame{Outcomes: &pluginpb.Outcomes{Seq: 1, Outcomes: []*pluginpb.Outcome{{Envelope: envelope(1, "")}}}})
		s.wantLogs(t, link, "done")
		if _, err := r.Drain(r.context(), &pluginpb.DrainRequest{Instance: link + "#1", DeadlineNanos: int64(time.Second)}); err != nil {
			t.Fatal(err)
		}
		s.wantLogs(t, link, "stop")
	}
	if got := plugin.Link(t.Context()); got != "" {
		t.Errorf("outside of a call: %q", got)
	}
}

// wantLogs reads until as many lines have come, and wants them to be these.
func (s *stream) wantLogs(t *testing.T, link string, want ...string) {
	t.Helper()
	for len(want) > 0 {
		for _, l := range s.frame().Logs {
			if len(want) == 0 || l.Message != want[0] || l.Attributes[0].Value != link {
				t.Fatalf("the stream of %s has %v, want %v", link, l, want)
			}
			want = want[1:]
		}
	}
}

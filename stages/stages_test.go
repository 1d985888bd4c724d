package stages_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/stages"
	"github.com/claudemesh/broker/stages/grants"
)

// world is a small broker: everybody is ada, nobody grants anything in
// particular, and every send is answered.
type world struct{}

func (world) Handle(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	env.Sender.MemberID, env.Sender.Member = "ada", sdk.Key{1}
	return sdk.Next(), nil
}

func (world) Grants(_ context.Context, _, member string) (store.Grants, error) {
	if member == "cy" {
		return store.Grants{{1}: {}}, nil
	}
	return nil, nil
}

func (world) Dispatch(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	if env.Kind != sdk.KindSend {
		return sdk.Decision{}, chain.ErrUnknownKind
	}
	return sdk.Decision{Verdict: sdk.Answer}, nil
}

func (world) Resolve(_ context.Context, env *sdk.Envelope, dst []sdk.Recipient) ([]sdk.Recipient, error) {
	return append(dst, sdk.Recipient{MemberID: env.Target.Name}), nil
}

func entries(drops *grants.Drops) []stages.Entry {
	return stages.All(stages.Deps{
		Auth:   func(chain.LinkSpec) (sdk.Stage, error) { return world{}, nil },
		Grants: world{}, Drops: drops, Dispatch: world{},
	})
}

// links makes links from a config, as the program does.
func links(pipeline []config.Link) (specs []chain.LinkSpec) {
	for _, l := range pipeline {
		specs = append(specs, chain.LinkSpec{
			Stage: l.Stage, Name: l.Name, Enabled: l.Enabled, OnFailure: chain.Policy(l.OnFailure), Deadline: l.Deadline,
			With: func(into any) error { return config.DecodeWith(l, into) },
		})
	}
	return specs
}

func build(t testing.TB, drops *grants.Drops, pipeline []config.Link) *chain.Chain {
	t.Helper()
	c, err := chain.Build(chain.Spec{Links: links(pipeline)}, stages.Factories(entries(drops)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaultPipeline(t *testing.T) {
	var drops grants.Drops
	c := build(t, &drops, config.Default().Pipeline)
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	to := func(member string) *sdk.Envelope {
		return &sdk.Envelope{
			Kind: sdk.KindSend, Mesh: "mesh-1", MessageID: "m1", Arrived: time.Now(), Directory: world{},
			Target: sdk.Target{Kind: sdk.TargetKey, Name: member, Spec: member},
		}
	}
	var got []string
	take := func(env *sdk.Envelope) {
		d, l := c.Run(t.Context(), env)
		c.Record(env, d)
		c.Done(env, sdk.Outcome{Decision: d, Stage: l.Name()})
		line := fmt.Sprintf("%s: %v %s", l.Name(), d.Verdict, d.Reason)
		for _, r := range env.Records {
			line += fmt.Sprintf(" | %s %s", r.Event, r.Payload)
		}
		got = append(got, line)
	}
	for range 10 {
		take(to("bo"))
	}
	got = got[9:]
	take(to("bo"))
	take(to("cy"))
	take(&sdk.Envelope{Kind: "sned"})
	want := []string{
		`route: answer  | message_sent {"messageId":"m1","priority":"now","targetSpec":"bo"}`,
		`rate-limit: deny rate_limit`,
		`grants: deny blocked | message_refused {"reason":"blocked","targetSpec":"cy"}`,
		`route: deny unknown_type`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if drops.DM() != 1 {
		t.Errorf("%d drops, want 1", drops.DM())
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOptionsReachTheStages(t *testing.T) {
	pipeline := config.Default().Pipeline
	for i := range pipeline {
		switch pipeline[i].Stage {
		case "grants":
			pipeline[i].With = map[string]any{"on_block": "shout"}
		case "rate-limit":
			pipeline[i].With = map[string]any{"brust": 1}
		case "audit":
			pipeline[i].With = map[string]any{"event": []any{"all"}}
		}
	}
	_, err := chain.Build(chain.Spec{Links: links(pipeline)}, stages.Factories(entries(nil)))
	if err == nil || !strings.Contains(err.Error(), "on_block") || !strings.Contains(err.Error(), "brust") ||
		!strings.Contains(err.Error(), "event") {
		t.Errorf("got %v, want all three mistakes", err)
	}
}

func TestWithoutAuth(t *testing.T) {
	_, err := chain.Build(chain.Spec{Links: links(config.Default().Pipeline)}, stages.Factories(stages.All(stages.Deps{})))
	if err == nil || !strings.Contains(err.Error(), "without auth") {
		t.Errorf("got %v", err)
	}
}

func TestBuiltins(t *testing.T) {
	var got []string
	for _, b := range stages.Builtins(entries(nil)) {
		got = append(got, fmt.Sprintf("%s needed=%v guards=%v options=%v", b.Name, b.Needed, b.Guards, b.Options != nil))
	}
	want := []string{
		"auth needed=true guards=true options=false",
		"legacy-auth needed=false guards=true options=true",
		"grants needed=false guards=true options=true",
		"rate-limit needed=false guards=false options=true",
		"route needed=true guards=true options=false",
		"audit needed=false guards=false options=true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("built in (-want +got):\n%s", diff)
	}
}

// The six stages themselves, with an auth and a route that do next to nothing.
func BenchmarkSend(b *testing.B) {
	pipeline := config.Default().Pipeline
	for i := range pipeline {
		if pipeline[i].Stage == "rate-limit" {
			pipeline[i].With = map[string]any{"send": "1000000/s", "burst": 1_000_000}
		}
	}
	c, ctx := build(b, nil, pipeline), b.Context()
	fresh := sdk.Envelope{
		Kind: sdk.KindSend, Mesh: "mesh-1", MessageID: "m1", Arrived: time.Now(), Directory: world{},
		Target: sdk.Target{Kind: sdk.TargetKey, Name: "bo", Spec: "bo"},
	}
	env := new(sdk.Envelope)
	b.ReportAllocs()
	for b.Loop() {
		*env = fresh
		env.Arrived = env.Arrived.Add(time.Microsecond)
		fresh.Arrived = env.Arrived
		if d, _ := c.Run(ctx, env); d.Verdict != sdk.Answer {
			b.Fatal(d)
		}
	}
}

package chain_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/sdk"
)

// logged is a link whose stage writes down its life.
func logged(out *lines, name string, startErr error) chain.LinkSpec {
	return link(name, loggedStage(out, name, startErr))
}

func loggedStage(out *lines, name string, startErr error) *fake {
	return &fake{
		StartFn: func(context.Context) error { out.add("start " + name); return startErr },
		StopFn:  func(context.Context) error { out.add("stop " + name); return nil },
	}
}

func TestStartAndStop(t *testing.T) {
	panics := &fake{StartFn: func(context.Context) error { panic("no disk") }}
	tests := []struct {
		name    string
		links   func(out *lines) []chain.LinkSpec
		wantErr bool
		want    []string
	}{
		{"it starts in order and stops in reverse", func(out *lines) []chain.LinkSpec {
			return []chain.LinkSpec{logged(out, "a", nil), logged(out, "b", nil), logged(out, "c", nil)}
		}, false, []string{"start a", "start b", "start c", "stop c", "stop b", "stop a"}},
		{"it stops all of them, last first, when one does not start", func(out *lines) []chain.LinkSpec {
			return []chain.LinkSpec{logged(out, "a", nil), logged(out, "b", errBroken), logged(out, "c", nil)}
		}, true, []string{"start a", "start b", "stop c", "stop b", "stop a"}},
		{"it takes a panic for a failure to start", func(out *lines) []chain.LinkSpec {
			return []chain.LinkSpec{logged(out, "a", nil), link("b", panics)}
		}, true, []string{"start a", "stop a"}},
		{"it never starts a link that is off", func(out *lines) []chain.LinkSpec {
			off := logged(out, "b", nil)
			off.Enabled = false
			return []chain.LinkSpec{logged(out, "a", nil), off}
		}, false, []string{"start a", "stop a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out lines
			c := mustBuild(t, tt.links(&out)...)
			if err := c.Start(t.Context()); (err != nil) != tt.wantErr {
				t.Errorf("start: got %v, want an error: %v", err, tt.wantErr)
			}
			for range 2 {
				if err := c.Stop(t.Context()); err != nil {
					t.Errorf("stop: %v", err)
				}
			}
			if diff := cmp.Diff(tt.want, out.get()); diff != "" {
				t.Errorf("life (-want +got):\n%s", diff)
			}
			if err := c.Start(t.Context()); err == nil {
				t.Error("a chain that was stopped started again")
			}
		})
	}
}

func TestStopReportsEveryError(t *testing.T) {
	bad := func() *fake { return &fake{StopFn: func(context.Context) error { return errBroken }} }
	panics := &fake{StopFn: func(context.Context) error { panic("gone") }}
	err := mustBuild(t, link("a", bad()), link("b", new(fake)), link("c", panics)).Stop(t.Context())
	want := "stop of stage c: panic: gone\nstop of stage a: broken on purpose"
	if err == nil || err.Error() != want || !errors.Is(err, errBroken) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// A plugin learns what it wants only when its process runs.
func TestKindsAreAskedAgainAfterStart(t *testing.T) {
	late := new(fake)
	late.StartFn = func(context.Context) error { late.Wants = []sdk.Kind{sdk.KindSend}; return nil }
	late.HandleFn = func(context.Context, *sdk.Envelope) (sdk.Decision, error) { return sdk.Refuse("late", ""), nil }
	c := mustBuild(t, link("late", late), link("route", answering()))
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[sdk.Kind]sdk.Verdict{sdk.KindSend: sdk.Deny, sdk.KindHello: sdk.Answer} {
		if d, _ := c.Run(t.Context(), &sdk.Envelope{Kind: kind}); d.Verdict != want {
			t.Errorf("%s: got %v, want %v", kind, d.Verdict, want)
		}
	}
}

func TestCarryOver(t *testing.T) {
	var out lines
	build := func(previous *chain.Chain, keys ...string) *chain.Chain {
		t.Helper()
		var links []chain.LinkSpec
		for i, key := range keys {
			f := loggedStage(&out, string(rune('a'+i))+" "+key, nil)
			f.WithKey = key
			links = append(links, link(string(rune('a'+i)), f))
		}
		return mustBuildSpec(t, chain.Spec{Links: links, Insecure: true, Previous: previous, Log: slog.New(slog.DiscardHandler)})
	}
	want := func(step string, lines ...string) {
		t.Helper()
		if diff := cmp.Diff(lines, out.get()); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", step, diff)
		}
		out.list = nil
	}
	h := chain.NewHolder()
	first := build(nil, "same", "old", "")
	if err := h.Swap(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	want("the first chain starts all", "start a same", "start b old", "start c ")
	first.Run(t.Context(), new(sdk.Envelope))

	second := build(first, "same", "new", "")
	want("the copy of an unchanged stage is stopped without a start", "stop a same")
	if err := h.Swap(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	want("what changed starts, then what it replaces stops; what has no key always changes",
		"start b new", "start c ", "stop c ", "stop b old")
	second.Run(t.Context(), new(sdk.Envelope))
	if n := h.Current().Stats()[0].Total(sdk.Continue); n != 2 {
		t.Errorf("counters did not go on over the reload: %d walks, want 2", n)
	}

	dry := build(second, "same", "dry", "")
	if err := dry.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	want("a chain that is thrown away stops only its own", "stop a same", "stop c ", "stop b dry")
	if i := slices.IndexFunc(second.Stats(), func(s chain.LinkStats) bool { return s.Link == "dry" }); i >= 0 {
		t.Error("a chain that never ran shows in the counters")
	}

	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	want("the end stops all, the one carried over too", "stop c ", "stop b new", "stop a same")
}

package pluginhost_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/sdk"
)

// startChain returns a chain of one link, which is stopped with the test.
func startChain(t *testing.T, h *pluginhost.Host, l config.Link) *chain.Chain {
	t.Helper()
	f, err := h.Factory(l)
	if err != nil {
		t.Fatal(err)
	}
	c, err := chain.Build(chain.Spec{Insecure: true, Log: slog.New(slog.DiscardHandler), Links: []chain.LinkSpec{{
		Stage: l.Stage, Name: l.Name, Enabled: true, Required: l.Required, Use: f,
		OnFailure: chain.Policy(l.OnFailure), Then: chain.Policy(l.Then),
	}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := c.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// walk takes an envelope through a chain in pieces.
func walk(t *testing.T, c *chain.Chain, env *sdk.Envelope) (sdk.Decision, *chain.Link) {
	t.Helper()
	var w chain.Walk
	for ended := c.Begin(t.Context(), env, &w, false); !ended; {
		ended = w.Resume(t.Context(), env)
	}
	return w.Decision()
}

// A link that observes is told and not asked, whichever way the walk goes, also
// when its stage could judge.
func TestAnObserverIsNotAsked(t *testing.T) {
	for _, stage := range []string{"both", "watcher"} {
		t.Run(stage, func(t *testing.T) {
			h := newHost(t)
			l := link(t, "drill")
			l.Plugin.Stage, l.Plugin.Role = stage, config.Observer
			l.OnFailure, l.Then = config.FailOpen, ""
			if stage == "both" {
				l.With = map[string]any{"deny": "spam"}
			}
			c := startChain(t, h, l)
			if c.Remote(sdk.KindSend) {
				t.Error("an observer counts as a stage that is asked elsewhere")
			}
			want, by := c.Run(t.Context(), message(1))
			if by.Name() != "chain" {
				t.Errorf("%s decided: %+v", by.Name(), want)
			}
			env := message(1)
			got, by := walk(t, c, env)
			if diff := cmp.Diff(want, got); diff != "" || by.Name() != "chain" || len(env.Attributes) > 0 {
				t.Errorf("a walk ends at %s with the attributes %v, and not as a run: %s", by.Name(), env.Attributes, diff)
			}
			if st := status(t, h); st.Hop.Sent != 0 {
				t.Errorf("it was asked about %d envelopes", st.Hop.Sent)
			}
		})
	}
}

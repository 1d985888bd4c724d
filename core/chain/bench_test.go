package chain_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/sdk"
)

// six is a chain like the default one: five stages that continue, and a route.
func six(tb testing.TB, timing int, probes chain.Probes) *chain.Chain {
	var links []chain.LinkSpec
	for i := range 5 {
		links = append(links, link(fmt.Sprint("gate", i), new(fake)))
	}
	links = append(links, link("route", answering()))
	return mustBuildSpec(tb, chain.Spec{Links: links, Insecure: true, Timing: timing, Probes: probes})
}

func TestRunDoesNotAllocate(t *testing.T) {
	trace := func(context.Context, *sdk.Envelope) chain.Probe { return nil }
	for name, c := range map[string]*chain.Chain{
		"it allocates nothing":                       six(t, -1, nil),
		"it allocates nothing with every walk timed": six(t, 1, nil),
		"it allocates nothing when a trace declines": six(t, 0, trace),
	} {
		t.Run(name, func(t *testing.T) {
			env := &sdk.Envelope{Kind: sdk.KindSend}
			h := chain.NewHolder()
			if err := h.Swap(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			ctx := t.Context()
			n := testing.AllocsPerRun(1000, func() {
				c := h.Enter(env.Sender.Conn)
				d, l := c.Run(ctx, env)
				c.Record(env, d)
				c.Done(env, sdk.Outcome{Decision: d, Stage: l.Name()})
				c.Leave(env.Sender.Conn)
			})
			if n != 0 {
				t.Errorf("%v allocations an envelope, want 0", n)
			}
		})
	}
}

func BenchmarkRun(b *testing.B) {
	benchmarks := []struct {
		name   string
		timing int
	}{{"untimed", -1}, {"timed 1 in 64", 0}, {"every walk timed", 1}}
	for _, bm := range benchmarks {
		b.Run(bm.name, func(b *testing.B) {
			c, env, ctx := six(b, bm.timing, nil), &sdk.Envelope{Kind: sdk.KindSend}, b.Context()
			b.ReportAllocs()
			for b.Loop() {
				c.Run(ctx, env)
			}
		})
	}
}

func BenchmarkRunParallel(b *testing.B) {
	c, ctx := six(b, 0, nil), b.Context()
	var conns atomic.Uint64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		env := &sdk.Envelope{Kind: sdk.KindSend, Sender: sdk.Sender{Conn: conns.Add(1)}}
		for pb.Next() {
			c.Run(ctx, env)
		}
	})
}

// All that an envelope costs beyond its stages: enter, walk, record, done, leave.
func BenchmarkJourney(b *testing.B) {
	h, env, ctx := chain.NewHolder(), &sdk.Envelope{Kind: sdk.KindSend}, b.Context()
	if err := h.Swap(ctx, six(b, 0, nil)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		c := h.Enter(1)
		d, l := c.Run(ctx, env)
		c.Record(env, d)
		c.Done(env, sdk.Outcome{Decision: d, Stage: l.Name()})
		c.Leave(1)
	}
}

// near is a remote stage that answers at once, and takes no memory for it.
type near struct{ fake }

func (n *near) Send(context.Context, *sdk.Envelope) (chain.Ticket, error) { return n, nil }

func (*near) Wait(context.Context, *sdk.Envelope) (sdk.Decision, error) { return sdk.Next(), nil }

// withRemote is a chain of a gate, a remote stage and a route.
func withRemote(tb testing.TB) *chain.Chain {
	return mustBuildSpec(tb, chain.Spec{
		Links: []chain.LinkSpec{link("gate", new(fake)), link("near", new(near)), link("route", answering())}, Insecure: true, Timing: -1,
	})
}

func TestWalkDoesNotAllocate(t *testing.T) {
	c, env, ctx, w := withRemote(t), &sdk.Envelope{Kind: sdk.KindSend}, t.Context(), new(chain.Walk)
	n := testing.AllocsPerRun(1000, func() {
		for ended := c.Begin(ctx, env, w, true); !ended; {
			ended = w.Resume(ctx, env)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations a walk, want 0", n)
	}
}

// A walk in pieces through a gate, a remote stage and a route, untimed.
func BenchmarkWalk(b *testing.B) {
	c, env, ctx, w := withRemote(b), &sdk.Envelope{Kind: sdk.KindSend}, b.Context(), new(chain.Walk)
	b.ReportAllocs()
	for b.Loop() {
		for ended := c.Begin(ctx, env, w, true); !ended; {
			ended = w.Resume(ctx, env)
		}
	}
}

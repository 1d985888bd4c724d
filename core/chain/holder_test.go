package chain_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/sdk"
)

func TestHolder(t *testing.T) {
	answers := func() *chain.Chain { return mustBuild(t, link("route", answering())) }
	ask := func(h *chain.Holder) sdk.Decision {
		c := h.Enter(1)
		defer c.Leave(1)
		d, _ := c.Run(t.Context(), new(sdk.Envelope))
		return d
	}
	h := chain.NewHolder()
	if d := ask(h); d.Reason != sdk.ReasonShuttingDown {
		t.Errorf("before the first chain: got %+v, want a denial", d)
	}
	good := answers()
	if err := h.Swap(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	broken := mustBuild(t, link("a", &fake{StartFn: func(context.Context) error { return errBroken }}))
	if err := h.Swap(t.Context(), broken); !errors.Is(err, errBroken) {
		t.Errorf("a chain that does not start: got %v, want why", err)
	}
	if d := ask(h); h.Current() != good || d.Verdict != sdk.Answer {
		t.Errorf("the old chain does not go on after a failed swap: %+v", d)
	}
	if err := h.Swap(t.Context(), good); err != nil {
		t.Errorf("a swap to the same chain: %v", err)
	}
	if d := ask(h); d.Verdict != sdk.Answer {
		t.Errorf("a swap to the same chain stopped it: %+v", d)
	}
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := answersOf(h.Current(), "route"); got != 2 {
		t.Errorf("after the end, route has decided %d times, want the 2 from before", got)
	}
	if d := ask(h); d.Reason != sdk.ReasonShuttingDown {
		t.Errorf("after the end: got %+v, want a denial", d)
	}
}

// answersOf returns how many answers of a link a chain has counted.
func answersOf(c *chain.Chain, link string) (n uint64) {
	for _, s := range c.Stats() {
		if s.Link == link {
			n += s.Total(sdk.Answer)
		}
	}
	return n
}

func TestSwapDrains(t *testing.T) {
	tests := []struct {
		name    string
		leaveIn time.Duration // after this, the envelope leaves the old chain
		want    time.Duration // the stop of the old stages
		wantErr error
	}{
		{"it waits for the last envelope before it stops a stage", 3 * time.Second, 3 * time.Second, nil},
		{"it stops the old stages when time is up, and says so", time.Hour, 10 * time.Second, chain.ErrNotDrained},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var stopped time.Duration
				old := mustBuild(t, link("old", &fake{StopFn: func(ctx context.Context) error {
					stopped = time.Since(began)
					return ctx.Err() // there is time to stop, although the drain's has passed
				}}))
				h := chain.NewHolder()
				if err := h.Swap(t.Context(), old); err != nil {
					t.Fatal(err)
				}
				for i := range uint64(20) {
					c := h.Enter(i)
					time.AfterFunc(tt.leaveIn*time.Duration(i+1)/20, func() { c.Leave(i + 3) })
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				next := mustBuild(t, link("new", answering()))
				if err := h.Swap(ctx, next); !errors.Is(err, tt.wantErr) || (err == nil) != (tt.wantErr == nil) {
					t.Errorf("got error %v, want %v", err, tt.wantErr)
				}
				if stopped != tt.want {
					t.Errorf("the old stage stopped after %v, want %v", stopped, tt.want)
				}
			})
		})
	}
}

// generation is a chain of which every link says whose it is.
type generation struct {
	t       *testing.T
	number  string
	stopped atomic.Bool
}

func (g *generation) stage() *fake {
	return &fake{
		HandleFn: func(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
			if g.stopped.Load() {
				g.t.Error("a stage was asked after it was stopped")
			}
			env.Note("by", g.number)
			return sdk.Next(), nil
		},
		DoneFn: func(env *sdk.Envelope, _ sdk.Outcome) {
			if g.stopped.Load() {
				g.t.Error("an observer was told after it was stopped")
			}
			env.Note("by", g.number)
		},
		StopFn: func(context.Context) error { g.stopped.Store(true); return nil },
	}
}

// Envelopes run while the chain is swapped under them: each sees one chain
// only, from its first stage to its last observer, and each exactly once.
func TestSwapUnderLoad(t *testing.T) {
	const swaps, callers, links = 50, 8, 4
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var generations []*generation
	next := func() *chain.Chain {
		g := &generation{t: t, number: strconv.Itoa(len(generations))}
		generations = append(generations, g)
		var specs []chain.LinkSpec
		for i := range links {
			specs = append(specs, link(fmt.Sprint("l", i), g.stage()))
		}
		return mustBuild(t, specs...)
	}
	h := chain.NewHolder()
	if err := h.Swap(t.Context(), next()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var walks atomic.Int64
	for i := range uint64(callers) {
		rng := rand.New(rand.NewPCG(seed, i))
		wg.Go(func() {
			for ctx.Err() == nil {
				walk(t, h, i, rng)
				walks.Add(1)
			}
		})
	}
	for range swaps {
		if err := h.Swap(t.Context(), next()); err != nil {
			t.Error(err)
		}
		for _, g := range generations[:len(generations)-1] {
			if !g.stopped.Load() {
				t.Fatal("a swap returned and the old chain still runs")
			}
		}
	}
	stop()
	wg.Wait()
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
	t.Logf("%d walks over %d chains", walks.Load(), len(generations))
}

// walk takes one envelope through, and now and then hands it to another
// goroutine between the decision and the end, as a commit would.
func walk(t *testing.T, h *chain.Holder, shard uint64, rng *rand.Rand) {
	c := h.Enter(shard)
	env := &sdk.Envelope{Kind: sdk.KindSend, Sender: sdk.Sender{Conn: shard}}
	d, _ := c.Run(context.Background(), env)
	end := func() {
		c.Done(env, sdk.Outcome{Decision: d})
		c.Leave(shard)
	}
	if rng.IntN(4) == 0 {
		var wg sync.WaitGroup
		wg.Go(end)
		wg.Wait()
	} else {
		end()
	}
	var by []string
	for _, a := range env.Attributes {
		by = append(by, a.Value)
	}
	if len(by) != 8 || strings.Count(strings.Join(by, " "), by[0]) != 8 {
		t.Errorf("an envelope saw more or less than one chain: %v", by)
	}
}

func BenchmarkEnterLeave(b *testing.B) {
	h := chain.NewHolder()
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.Enter(1).Leave(1)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		var next atomic.Uint64
		b.RunParallel(func(pb *testing.PB) {
			shard := next.Add(1)
			for pb.Next() {
				h.Enter(shard).Leave(shard)
			}
		})
	})
}

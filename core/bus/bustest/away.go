package bustest

import (
	"context"
	"testing"

	"github.com/claudemesh/broker/core/bus"
)

func recovers(t *testing.T, r Rig) {
	a, b := r.open(t), r.open(t)
	inA, inB := listen(a, "x"), listen(b, "x")
	a.Publish("x", []byte("1"))
	inB.want(t, "x 1")
	for round := range 2 {
		lostA, lostB := inA.losses(), inB.losses()
		r.Stop(t)
		eventually(t, "both see that the server is away", func() bool { return !a.Up() && !b.Up() })
		cancel := b.Subscribe("meanwhile", func([]byte) { inB.add("meanwhile") })
		r.Start(t)
		eventually(t, "both are told of a loss", func() bool { return inA.losses() > lostA && inB.losses() > lostB })
		eventually(t, "both are up", func() bool { return a.Up() && b.Up() })
		linked(t, a, b)
		before := len(inB.all())
		a.Publish("x", []byte("2"))
		a.Publish("meanwhile", nil)
		eventually(t, "messages flow again", func() bool { return len(inB.all()) == before+2 })
		if got := inB.all()[before:]; got[0] != "x 2" || got[1] != "meanwhile" {
			t.Fatalf("round %d: got %q", round, got)
		}
		cancel()
	}
}

const floodSize = 50_000

// flood publishes more than any buffer holds.
func flood(b bus.Bus) {
	data := make([]byte, 4<<10)
	for range floodSize {
		b.Publish("flood", data)
	}
}

func neverBlocks(t *testing.T, r Rig) {
	a, b := r.open(t), r.open(t)
	in := listen(b, "x")
	if r.Freeze != nil {
		r.Freeze(t)
		flood(a) // the whole test runs out of time if this waits
		if a.Stats().Dropped == 0 {
			t.Error("a server that reads nothing has taken everything")
		}
		r.Thaw(t)
		eventually(t, "the other is told of a loss", func() bool { return in.losses() > 0 })
	}
	r.Stop(t)
	eventually(t, "the server is away", func() bool { return !a.Up() })
	dropped := a.Stats().Dropped
	flood(a)
	eventually(t, "all are counted as dropped", func() bool { return a.Stats().Dropped-dropped >= floodSize })
	r.Start(t)
	eventually(t, "both are up", func() bool { return a.Up() && b.Up() })
	linked(t, a, b)
	a.Publish("x", []byte("again"))
	in.want(t, "x again")
}

// tellsOthers overflows one node's buffer; or, where nothing overflows, loses
// nothing.
func tellsOthers(t *testing.T, r Rig) {
	a, b := r.open(t), r.open(t)
	in := listen(b, "flood", "end")
	for a.Stats().Dropped == 0 && a.Stats().Published < 300_000 {
		flood(a)
	}
	if a.Stats().Dropped > 0 {
		eventually(t, "the other is told of a loss", func() bool { return in.losses() > 0 })
	}
	linked(t, a, b)
	linked(t, b, a)
}

func sendsBeforeClose(t *testing.T, r Rig) {
	a, b := r.Open(t), r.open(t)
	in := listen(b, "x")
	want := make([]string, 500)
	for i := range want {
		want[i] = "x last"
		a.Publish("x", []byte("last"))
	}
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	in.want(t, want...)
}

func closed(t *testing.T, r Rig) {
	a, b := r.Open(t), r.open(t)
	in := listen(a, "x")
	for range 2 {
		if err := a.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if a.Up() {
		t.Error("a closed bus is up")
	}
	a.Publish("x", nil)
	a.Subscribe("y", func([]byte) {})()
	b.Publish("x", nil)
	if got := in.all(); len(got) > 0 {
		t.Errorf("a closed bus heard %q", got)
	}
	r.Stop(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Errorf("close while the server is away: %v", err)
	}
	r.Start(t)
}

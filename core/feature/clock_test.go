package feature

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

// clock asks something of the clock.
func (p *peer) clock(frame string) wire.ClockStatus {
	p.rig.t.Helper()
	answer, _ := p.ask(frame)
	got, err := wire.Decode[wire.ClockStatus]([]byte(answer))
	if err != nil || !strings.HasPrefix(answer, `{"type":"clock_status"`) || got.Error != "" {
		p.rig.t.Fatalf("%s: got %s, %v", frame, answer, err)
	}
	return *got
}

func TestClockLife(t *testing.T) {
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy")
	if none := bo.clock(`{"type":"get_clock"}`); none.Speed != 0 || !none.Paused || none.Tick != 0 || none.SimTime.IsZero() {
		t.Errorf("got %+v", none)
	}
	for _, frame := range []string{"pause_clock", "resume_clock"} {
		got, _ := bo.ask(`{"type":"` + frame + `","_reqId":1}`)
		wantText(t, got, `{"type":"error","_reqId":1,"code":"no_clock","message":"No clock running for this mesh: start one with set_clock"}`)
	}
	set := bo.clock(`{"type":"set_clock","speed":2.5}`)
	if set.Speed != 2.5 || set.Paused || set.Tick != 0 || !set.SimTime.Equal(set.StartedAt) {
		t.Errorf("got %+v", set)
	}
	// What is stored tells the time: nothing ticks in memory.
	row, err := r.store.Clock(t.Context(), r.mesh.ID)
	if err != nil {
		t.Fatal(err)
	}
	earlier := *row
	earlier.Since = row.Since.Add(-time.Hour)
	if err := r.store.SetClock(t.Context(), &earlier, row); err != nil {
		t.Fatal(err)
	}
	if got := cy.clock(`{"type":"get_clock"}`); got.Tick != 150 || !got.SimTime.Equal(got.StartedAt.Add(150*time.Minute)) {
		t.Errorf("got %+v", got)
	}
	for range 2 {
		if got := cy.clock(`{"type":"pause_clock"}`); !got.Paused || got.Tick != 150 {
			t.Errorf("got %+v", got)
		}
	}
	if got := cy.clock(`{"type":"set_clock","speed":100}`); !got.Paused || got.Tick != 150 || got.Speed != 100 {
		t.Errorf("a paused clock goes on: %+v", got)
	}
	for range 2 {
		if got := bo.clock(`{"type":"resume_clock"}`); got.Paused || got.Tick != 150 {
			t.Errorf("got %+v", got)
		}
	}
}

func TestClockSpeeds(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	for given, want := range map[string]float64{`0`: 1, `-3`: 1, `0.5`: 1, `2.5`: 2.5, `100`: 100, `1e9`: 100} {
		if got := bo.clock(`{"type":"set_clock","speed":` + given + `}`); got.Speed != want {
			t.Errorf("%s: got %+v", given, got)
		}
	}
	if got := bo.clock(`{"type":"set_clock"}`); got.Speed != 1 {
		t.Errorf("got %+v", got)
	}
	for _, given := range []string{`"x"`, `{}`, `1e999`} {
		if got, _ := bo.ask(`{"type":"set_clock","_reqId":1,"speed":` + given + `}`); !strings.HasPrefix(got, `{"type":"error","_reqId":1,"code":"invalid","message":"speed`) {
			t.Errorf("%s: got %s", given, got)
		}
	}
}

func TestFlawExt28ClockNeedsAPermission(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	bo.clock(`{"type":"set_clock"}`)
	r.edit("bo", func(m *store.Member) { m.Permissions = store.Permissions{store.CanWriteState: false} })
	for _, frame := range []string{"set_clock", "pause_clock", "resume_clock"} {
		if got, _ := bo.ask(`{"type":"` + frame + `","_reqId":1}`); !strings.HasPrefix(got, `{"type":"error","_reqId":1,"code":"forbidden"`) {
			t.Errorf("%s: got %s", frame, got)
		}
	}
	bo.clock(`{"type":"get_clock"}`)
}

// However fast a clock runs, peers are told of it every five seconds at most.
func TestFlawExt58TicksAreBounded(t *testing.T) {
	for _, speed := range []float64{1, 2.5, 12, 13, 60, 100} {
		step := TickOf(&store.Clock{Speed: speed}, time.Now()).Step
		if real := time.Duration(float64(step) / speed * float64(time.Minute)); step < 1 || real < tellEvery {
			t.Errorf("at x%v peers are told every %s", speed, real)
		}
	}
}

// However often a clock is changed, it loses and gains no time.
func TestClockProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		now := time.UnixMilli(1_780_000_000_000)
		c := &store.Clock{Speed: 1, Since: now, StartedAt: now}
		var ticks float64 // as it should be
		for range rapid.IntRange(1, 30).Draw(rt, "changes") {
			d := time.Duration(rapid.Int64Range(0, 100_000).Draw(rt, "ms")) * time.Millisecond
			if !c.Paused {
				ticks += d.Minutes() * c.Speed
			}
			now = now.Add(d)
			last := c.TickAt(now)
			if paused := rapid.Bool().Draw(rt, "paused"); paused != c.Paused && paused {
				ticks = float64(last) // a paused clock stands on a whole tick
				c = c.Changed(now, c.Speed, true)
			} else {
				c = c.Changed(now, rapid.Float64Range(1, 100).Draw(rt, "speed"), paused)
			}
			if got := c.TickAt(now); got < last || float64(got) > ticks+0.1 || float64(got) < ticks-1.1 {
				rt.Fatalf("%d ticks after %d, want %v", got, last, ticks)
			}
		}
	})
}

package console

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/chain"
)

// second returns a broker with so many frames after so many seconds.
func second(at time.Duration, frames uint64, timing chain.Timing) *Snapshot {
	return &Snapshot{
		At: time.Unix(1_800_000_000, 0).Add(at), Broker: Broker{Frames: frames, CPU: at / 4, Sends: timing},
		Chain: chain.Description{Links: []chain.LinkDescription{{Name: "route", Enabled: true, Stats: &chain.LinkStats{
			Decisions: []chain.DecisionStat{{Kind: "send", Verdict: "answer", Count: frames}, {Kind: "send", Verdict: "drop", Count: frames / 10}}, Timing: timing,
		}}}},
		Plugins: []Plugin{{Link: "scan", CPU: at / 2}},
	}
}

func TestRates(t *testing.T) {
	var p past
	none := chain.Timing{}
	r := p.add(second(0, 1000, none))
	if r.Frames != -1 || r.CPU != -1 || r.Links["route"].Asked != -1 || r.Plugins["scan"] != -1 {
		t.Errorf("of one answer it knows %+v", r)
	}
	r = p.add(second(time.Second, 1100, none))
	if r.Frames != 100 || r.CPU != 0.25 || r.Links["route"].Asked != 110 || r.Links["route"].Refused != 10 || r.Plugins["scan"] != 0.5 {
		t.Errorf("after a second: %+v", r)
	}
	for i := 2; i <= 20; i++ {
		r = p.add(second(time.Duration(i)*time.Second, 1100+uint64(i-1)*300, none)) //nolint:gosec // a count
	}
	if r.Frames != 300 {
		t.Errorf("over five seconds: %v", r.Frames)
	}
	if len(r.FramesCurve) != 20 || r.FramesCurve[0] != 100 || r.FramesCurve[19] != 300 {
		t.Errorf("the curve is %v", r.FramesCurve)
	}
	r = p.add(second(21*time.Second, 500, none)) // the counter began again
	if r.Frames < 0 || r.Frames > 300 {
		t.Errorf("after a new start: %v", r.Frames)
	}
	r = p.add(second(20*time.Second, 900, none)) // the clock was set back
	if r.Frames != -1 || len(p.samples) != 1 {
		t.Errorf("after the clock was set back: %v of %d samples", r.Frames, len(p.samples))
	}
}

// A link that a reload takes away and brings back has its old counts.
func TestLinkComesBack(t *testing.T) {
	var p past
	at := func(i int, n uint64, there bool) linkRates {
		s := second(time.Duration(i)*time.Second, n, chain.Timing{})
		if !there {
			s.Chain.Links = nil
		}
		return p.add(s).Links["route"]
	}
	at(0, 1_000_000, true)
	at(1, 1_000_200, true)
	for i := 2; i < 12; i++ {
		at(i, 1_000_200, false)
	}
	for i := range 5 {
		l := at(12+i, 1_000_200+uint64(i)*100, true) //nolint:gosec // a count
		if l.Asked != -1 || l.Refused != -1 || l.Failed != -1 || len(l.Curve) != i || i > 0 && l.Curve[i-1] != 110 {
			t.Errorf("%d s after it came back: %+v", i, l)
		}
	}
	if l := at(17, 1_000_700, true); l.Asked != 110 || l.Refused != 10 || len(l.Curve) != 5 {
		t.Errorf("then: %+v", l)
	}
}

func TestRatesForgetWhatIsOld(t *testing.T) {
	var p past
	p.add(second(0, 0, chain.Timing{}))
	if r := p.add(second(time.Hour, 1000, chain.Timing{})); r.Frames != -1 || len(p.samples) != 1 {
		t.Errorf("after an hour: %v of %d samples", r.Frames, len(p.samples))
	}
	for i := range 1000 {
		p.add(second(time.Hour+time.Duration(i+1)*100*time.Millisecond, 1000, chain.Timing{}))
	}
	if len(p.samples) > maxSamples {
		t.Errorf("%d samples are remembered", len(p.samples))
	}
}

func TestQuantiles(t *testing.T) {
	bounds := []time.Duration{1, 10, 100}
	timing := func(counts ...uint64) chain.Timing {
		c := chain.Timing{Bounds: bounds, Counts: counts}
		for _, n := range counts {
			c.Count += n
		}
		return c
	}
	tests := []struct {
		name   string
		now    chain.Timing
		before *chain.Timing
		want   quantiles
	}{
		{"it knows nothing of no calls", timing(0, 0, 0, 0), nil, quantiles{}},
		{"it knows nothing of no histogram", chain.Timing{Count: 7}, nil, quantiles{}},
		{"it takes all without an older answer", timing(98, 0, 2, 0), nil, quantiles{1, 100, 100, true}},
		{"it takes those of the last minute", timing(98, 50, 2, 0), new(timing(98, 0, 2, 0)), quantiles{10, 10, 50, false}},
		{"it takes all when those are few", timing(98, 3, 2, 0), new(timing(98, 0, 2, 0)), quantiles{1, 100, 103, true}},
		{"it takes the highest edge for what is longer", timing(0, 0, 0, 30), nil, quantiles{100, 100, 30, true}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, quantilesOf(tt.now, tt.before)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestFormats(t *testing.T) {
	for want, got := range map[string]string{
		"1,234,567": count(1234567), "-1,234": count(-1234), "999": count(999),
		"–": rate(-1), "0": rate(0), "<0.1": rate(0.01), "3.4": rate(3.44), "10": rate(9.96), "5,012": rate(5012.4),
		"250 ns": length(250), "2.5 µs": length(2500), "5 ms": length(5 * time.Millisecond), "1.5 min": length(90 * time.Second),
		"512 KiB": size(512 << 10), "182 MiB": size(182 << 20), "12 GiB": size(12 << 30),
		"37.3 %": percent(0.373), "1 mesh": plural(1, "mesh", "meshes"), "1,000 meshes": plural(1000, "mesh", "meshes"),
		"01234567…": short("0123456789"), "012345678": short("012345678"),
		"a_2fb": anchor("a/b"), "a_5f2fb": anchor("a_2fb"),
		"59,10.0 60,1.0": curve([]float64{1, 2}), "": curve([]float64{0, 0}) + curve([]float64{3}) + curve(nil),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

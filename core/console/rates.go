package console

import (
	"time"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/sdk"
)

const (
	// rateOver is the time that a rate is the mean of.
	rateOver = 5 * time.Second

	// timedOver is the time whose calls a quantile is taken of, if they are
	// enough; else it is taken of all since the start.
	timedOver   = time.Minute
	timedEnough = 20

	// remembered is how old a sample may be. A browser without scripts asks every
	// ten seconds.
	remembered = 70 * time.Second

	maxSamples = 64
	maxPoints  = 60 // of a curve
)

// sample is what rates are made of.
type sample struct {
	at                                 time.Time
	frames, routed, confirmed, refused uint64
	cpu                                time.Duration
	sends                              chain.Timing
	links                              map[string]linkSample
	plugins                            map[string]time.Duration // CPU time
}

type linkSample struct {
	asked, refused, failed uint64
	timing                 chain.Timing
}

// rates are what happens in a second now. A negative rate is not known yet.
type rates struct {
	Frames, Routed, Confirmed, Refused float64
	CPU                                float64 // of one core
	Sends                              quantiles
	FramesCurve, RefusedCurve          []float64
	Links                              map[string]linkRates
	Plugins                            map[string]float64 // CPU, of one core
}

type linkRates struct {
	Asked, Refused, Failed float64
	Time                   quantiles
	Curve                  []float64 // envelopes a second, oldest first
}

// quantiles are of the last minute, or of all calls since the start.
type quantiles struct {
	P50, P99   time.Duration
	Count      uint64 // calls that were timed
	SinceStart bool
}

// past is the samples of the last minute, oldest first.
type past struct{ samples []sample }

// add remembers a snapshot and returns its rates.
func (p *past) add(snap *Snapshot) rates {
	now := newSample(snap)
	for len(p.samples) > 0 && (len(p.samples) >= maxSamples || now.at.Sub(p.samples[0].at) > remembered) {
		p.samples = p.samples[1:]
	}
	if n := len(p.samples); n > 0 && !now.at.After(p.samples[n-1].at) {
		p.samples = nil // the clock was set back
	}
	p.samples = append(p.samples, now)
	return p.rates()
}

func newSample(snap *Snapshot) sample {
	b := &snap.Broker
	s := sample{
		at: snap.At, frames: b.Frames, routed: b.Routed, confirmed: b.Confirmed, refused: b.Refused,
		cpu: b.CPU, sends: b.Sends, links: map[string]linkSample{}, plugins: map[string]time.Duration{},
	}
	for _, l := range snap.Chain.Links {
		if l.Stats == nil {
			continue
		}
		n := linkSample{failed: l.Stats.Failed(), timing: l.Stats.Timing}
		for _, d := range l.Stats.Decisions {
			n.asked += d.Count
			if d.Verdict == sdk.Deny.String() || d.Verdict == sdk.Drop.String() {
				n.refused += d.Count
			}
		}
		if n.asked == 0 && l.Stats.Shadow != nil { // it has no decisions of its own
			for _, v := range l.Stats.Shadow.Verdicts {
				n.asked += v.Count
			}
		}
		s.links[l.Name] = n
	}
	for i := range snap.Plugins {
		s.plugins[snap.Plugins[i].Link] = snap.Plugins[i].CPU
	}
	return s
}

// base returns the sample that is at least so old, else the oldest; nil when
// there is none but the newest.
func (p *past) base(age time.Duration) *sample {
	last := len(p.samples) - 1
	for i := last - 1; i >= 0; i-- {
		if p.samples[last].at.Sub(p.samples[i].at) >= age || i == 0 {
			return &p.samples[i]
		}
	}
	return nil
}

func (p *past) rates() rates {
	now, base, minute := &p.samples[len(p.samples)-1], p.base(rateOver), p.base(timedOver)
	r := rates{
		Frames: -1, Routed: -1, Confirmed: -1, Refused: -1, CPU: -1,
		Sends: quantilesOf(now.sends, timingOf(minute, func(s *sample) chain.Timing { return s.sends })),
		Links: map[string]linkRates{}, Plugins: map[string]float64{},
		FramesCurve:  p.curve(func(s *sample) (uint64, bool) { return s.frames, true }),
		RefusedCurve: p.curve(func(s *sample) (uint64, bool) { return s.refused, true }),
	}
	var over float64
	if base != nil {
		over = now.at.Sub(base.at).Seconds()
		r.Frames, r.Routed = per(base.frames, now.frames, over), per(base.routed, now.routed, over)
		r.Confirmed, r.Refused = per(base.confirmed, now.confirmed, over), per(base.refused, now.refused, over)
		r.CPU = per(base.cpu, now.cpu, over) / float64(time.Second)
	}
	for name, n := range now.links {
		l := linkRates{
			Asked: -1, Refused: -1, Failed: -1, Curve: p.curve(func(s *sample) (uint64, bool) { l, ok := s.links[name]; return l.asked, ok }),
			Time: quantilesOf(n.timing, timingOf(minute, func(s *sample) chain.Timing { return s.links[name].timing })),
		}
		if b, ok := base.link(name); ok {
			l.Asked, l.Refused, l.Failed = per(b.asked, n.asked, over), per(b.refused, n.refused, over), per(b.failed, n.failed, over)
		}
		r.Links[name] = l
	}
	for name, cpu := range now.plugins {
		r.Plugins[name] = -1
		if base != nil {
			if b, ok := base.plugins[name]; ok {
				r.Plugins[name] = per(b, cpu, over) / float64(time.Second)
			}
		}
	}
	return r
}

// per is what was added in a second. A count that fell began again.
func per[N uint64 | time.Duration](before, now N, seconds float64) float64 {
	if now < before {
		before = 0
	}
	return float64(now-before) / seconds
}

// link returns what was known of a link. Nothing is of one that was not there:
// its counts began long before, and it was away.
func (s *sample) link(name string) (l linkSample, ok bool) {
	if s == nil {
		return linkSample{}, false
	}
	l, ok = s.links[name]
	return l, ok
}

// curve returns the rates between one sample and the next, oldest first, since
// the count is there without a gap.
func (p *past) curve(of func(*sample) (n uint64, ok bool)) []float64 {
	from := max(1, len(p.samples)-maxPoints)
	points := make([]float64, 0, len(p.samples)-from)
	for i := from; i < len(p.samples); i++ {
		a, b := &p.samples[i-1], &p.samples[i]
		before, there := of(a)
		now, here := of(b)
		if !there || !here {
			points = points[:0]
			continue
		}
		points = append(points, per(before, now, b.at.Sub(a.at).Seconds()))
	}
	return points
}

func timingOf(s *sample, of func(*sample) chain.Timing) *chain.Timing {
	if s == nil {
		return nil
	}
	t := of(s)
	return &t
}

// quantilesOf takes the quantiles of the calls since before, or of all when
// those are few.
func quantilesOf(now chain.Timing, before *chain.Timing) quantiles {
	of, all := now, true
	if before != nil && len(before.Counts) == len(now.Counts) && now.Count >= before.Count+timedEnough {
		of, all = chain.Timing{Bounds: now.Bounds, Counts: make([]uint64, len(now.Counts))}, false
		for i := range now.Counts {
			if now.Counts[i] > before.Counts[i] {
				of.Counts[i] = now.Counts[i] - before.Counts[i]
				of.Count += of.Counts[i]
			}
		}
	}
	if of.Count == 0 || len(of.Bounds) == 0 || len(of.Counts) < len(of.Bounds) {
		return quantiles{}
	}
	return quantiles{P50: of.Quantile(0.5), P99: of.Quantile(0.99), Count: of.Count, SinceStart: all}
}

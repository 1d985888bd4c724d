package supervise

import (
	"time"

	"github.com/cenkalti/backoff/v5"
)

// pace decides when the next start is due. Only the supervisor's goroutine uses
// it.
type pace struct {
	restart Restart
	backOff backoff.ExponentialBackOff
	crashes []time.Time // within restart.Within
}

func newPace(r Restart) *pace {
	return &pace{restart: r, backOff: backoff.ExponentialBackOff{
		InitialInterval:     r.First,
		Multiplier:          2,
		MaxInterval:         r.Most,
		RandomizationFactor: r.Jitter,
	}}
}

// crash notes one, of a life that was up so long, and returns what to wait for:
// a time, or somebody who ends the loop.
func (p *pace) crash(now time.Time, up time.Duration) (delay time.Duration, loop bool) {
	old := 0
	for old < len(p.crashes) && now.Sub(p.crashes[old]) >= p.restart.Within {
		old++
	}
	p.crashes = append(p.crashes[old:], now)
	switch {
	case len(p.crashes) >= p.restart.Crashes:
		return 0, true
	case len(p.crashes) == 1 || up >= p.restart.Reset:
		p.backOff.Reset()
		return 0, false
	}
	return p.backOff.NextBackOff(), false
}

// forget starts anew.
func (p *pace) forget() {
	p.crashes = nil
	p.backOff.Reset()
}

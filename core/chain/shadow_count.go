package chain

import (
	"sync/atomic"

	"github.com/claudemesh/broker/sdk"
)

// end is what became of an envelope.
type end struct {
	verdict sdk.Verdict
	refused bool // by the judgement of a gate
}

// endOf tells how an envelope ended. What route refuses, because nobody is
// there or the message is too large, no gate was asked about; and a stage that
// failed has not judged.
func (c *Chain) endOf(out sdk.Outcome) end {
	e := end{verdict: out.Decision.Verdict}
	if !refuses(e.verdict) || out.Decision.Reason == sdk.ReasonStageFailed {
		return e
	}
	for _, l := range c.links {
		if l.name == out.Stage {
			e.refused = l.role == RoleGate
		}
	}
	return e
}

func refuses(v sdk.Verdict) bool { return v == sdk.Deny || v == sdk.Drop }

// shadowCounts compare what a link in shadow said with what the chain did.
type shadowCounts struct {
	verdicts  [sdk.Answer + 1][sdk.Answer + 1]atomic.Uint64 // by the stage's, then the chain's; Undecided: the stage failed
	disagreed atomic.Uint64
	dropped   atomic.Uint64
}

// add counts one envelope. A stage that failed agrees and disagrees with nobody.
func (c *shadowCounts) add(v sdk.Verdict, e end) {
	c.verdicts[v][min(e.verdict, sdk.Answer)].Add(1)
	stricter := refuses(v) && !refuses(e.verdict)
	laxer := v != sdk.Undecided && !refuses(v) && e.refused
	if stricter || laxer {
		c.disagreed.Add(1)
	}
}

// ShadowStat compares what a link in shadow said with what the chain did.
type ShadowStat struct {
	Verdicts []ShadowCount `json:"verdicts,omitempty"`

	// Disagreements are the envelopes that the stage would have denied or
	// dropped and the chain let pass, and those that it let pass and a later
	// gate denied or dropped. Refusals by route, and of a gate that failed, are
	// no judgement to disagree with.
	Disagreements uint64 `json:"disagreements"`

	// Dropped are the samples that nobody judged: the stage or the chain had no
	// room, or the caller went away.
	Dropped uint64 `json:"dropped"`
}

// ShadowCount counts envelopes by what the stage in shadow said ("failed" when
// it failed) and by what the chain decided in the end.
type ShadowCount struct {
	Shadow string `json:"shadow"`
	Chain  string `json:"chain"`
	Count  uint64 `json:"count"`
}

// load returns nil when the link was never in shadow.
func (c *shadowCounts) load() *ShadowStat {
	s := ShadowStat{Disagreements: c.disagreed.Load(), Dropped: c.dropped.Load()}
	for v := range c.verdicts {
		said := sdk.Verdict(v).String()
		if sdk.Verdict(v) == sdk.Undecided {
			said = "failed"
		}
		for e := range c.verdicts[v] {
			if n := c.verdicts[v][e].Load(); n > 0 {
				s.Verdicts = append(s.Verdicts, ShadowCount{said, sdk.Verdict(e).String(), n})
			}
		}
	}
	if len(s.Verdicts) == 0 && s.Disagreements == 0 && s.Dropped == 0 {
		return nil
	}
	return &s
}

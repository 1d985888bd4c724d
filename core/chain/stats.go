package chain

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// Stats are the counters of every link that this process has run, also of
// links that a reload took away. They only rise.
type Stats []LinkStats

// LinkStats are one link's counters.
type LinkStats struct {
	Link      string         `json:"link"`
	Decisions []DecisionStat `json:"decisions,omitempty"` // by kind, then verdict
	Failures  []FailureStat  `json:"failures,omitempty"`
	Policies  []PolicyStat   `json:"policies,omitempty"` // none for a link that was always in shadow
	Fallback  *FallbackStat  `json:"fallback,omitempty"` // nil until the fallback was asked
	Shadow    *ShadowStat    `json:"shadow,omitempty"`   // nil unless the link was in shadow
	Timing    Timing         `json:"timing"`
}

// DecisionStat counts one verdict about one kind. The kind is "prefix*" or "*"
// where the chain does not tell kinds apart.
type DecisionStat struct {
	Kind    sdk.Kind `json:"kind"`
	Verdict string   `json:"verdict"`
	Count   uint64   `json:"count"`
}

// FailureStat counts failures of one sort: error, undecided, panic, deadline
// or cancelled. What the policy made of each is counted as a decision too, but
// for a link in shadow, which has no decisions.
type FailureStat struct {
	Failure string `json:"failure"`
	Count   uint64 `json:"count"`
}

// PolicyStat counts envelopes by what the link's failure policy made of them:
// fail_closed, fail_open or fallback. The policies that the link has, or had before
// a reload, are there from the start. Failures without one, of the cancelled, of a stage in
// shadow or after the decision, are not among them.
type PolicyStat struct {
	Policy Policy `json:"policy"`
	Held   bool   `json:"held,omitempty"` // the envelope had waited before: hold, then Policy
	Count  uint64 `json:"count"`
}

// FallbackStat counts what became of envelopes that the link's own stage had
// failed on. Those that the fallback does not want are in neither count.
type FallbackStat struct {
	Decided uint64 `json:"decided"` // by the fallback; they count as the link's decisions too
	Failed  uint64 `json:"failed"`  // denied, because the fallback failed as well
}

// Timing is a histogram of the calls that were timed: those of the sample and
// those that a probe watched, so its count is lower than the sum of the
// decisions. A call of a remote stage, or of one in shadow, lasts until the
// verdict came, however long its envelope then waits for its turn.
type Timing struct {
	Bounds []time.Duration `json:"-"`                 // upper edges
	Counts []uint64        `json:"buckets,omitempty"` // one more than Bounds: the last is for what is longer
	Count  uint64          `json:"count"`
	Sum    time.Duration   `json:"sum_ns"`
}

// Mean returns the average time of a timed call, 0 without any.
func (t Timing) Mean() time.Duration {
	if t.Count == 0 {
		return 0
	}
	return t.Sum / time.Duration(t.Count)
}

// Quantile returns the upper edge of the bucket that holds the q-th part of the
// calls (0.99 for p99), the highest edge when they took longer, 0 without any.
func (t Timing) Quantile(q float64) time.Duration {
	if t.Count == 0 {
		return 0
	}
	rank, seen := uint64(math.Ceil(q*float64(t.Count))), uint64(0)
	for i, n := range t.Counts[:len(t.Bounds)] {
		if seen += n; seen >= rank && n > 0 {
			return t.Bounds[i]
		}
	}
	return t.Bounds[len(t.Bounds)-1]
}

// Total returns the number of decisions with a verdict, of all kinds.
func (s LinkStats) Total(v sdk.Verdict) (n uint64) {
	for _, d := range s.Decisions {
		if d.Verdict == v.String() {
			n += d.Count
		}
	}
	return n
}

// Failed returns the number of failures that were the stage's own.
func (s LinkStats) Failed() (n uint64) {
	for _, f := range s.Failures {
		if f.Failure != failCancelled.String() {
			n += f.Count
		}
	}
	return n
}

// Stats reads the counters. It may be called at any time; counters that move
// meanwhile may disagree with one another by the calls under way.
func (c *Chain) Stats() Stats {
	c.meters.mu.Lock()
	order := slices.Clone(c.meters.order)
	byLink := maps.Clone(c.meters.byLink)
	c.meters.mu.Unlock()
	stats := make(Stats, 0, len(order))
	for _, name := range order {
		stats = append(stats, byLink[name].stats(name))
	}
	return stats
}

func (m *meter) stats(name string) LinkStats {
	s := LinkStats{Link: name, Shadow: m.shadow.load(), Timing: m.seconds.load()}
	m.mu.Lock()
	byKind := maps.Clone(m.byKind)
	m.mu.Unlock()
	for kind, c := range byKind {
		for v := sdk.Continue; v <= sdk.Answer; v++ {
			if n := c.load(v); n > 0 {
				s.Decisions = append(s.Decisions, DecisionStat{kind, v.String(), n})
			}
		}
	}
	slices.SortStableFunc(s.Decisions, func(a, b DecisionStat) int { return cmp.Compare(a.Kind, b.Kind) })
	for f := range numFailures {
		if n := m.failures[f].Load(); n > 0 {
			s.Failures = append(s.Failures, FailureStat{f.String(), n})
		}
	}
	for p := range 2 * numApplied {
		if n := m.applied[p].Load(); n > 0 || m.expected[p].Load() {
			policy, held := p.policy()
			s.Policies = append(s.Policies, PolicyStat{policy, held, n})
		}
	}
	if f := (FallbackStat{m.fallbackDecided.Load(), m.fallbackFailed.Load()}); f != (FallbackStat{}) {
		s.Fallback = &f
	}
	return s
}

func (h *histogram) load() Timing {
	t := Timing{Bounds: bounds[:], Counts: make([]uint64, len(h.bucket)), Sum: time.Duration(h.sum.Load())}
	for i := range h.bucket {
		t.Counts[i] = h.bucket[i].Load()
		t.Count += t.Counts[i]
	}
	return t
}

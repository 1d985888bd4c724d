package app

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/telemetry"
)

// stageMetrics gives what the chain counts, by the names of links. A link that a
// reload took away keeps its counters.
func stageMetrics(to telemetry.To, c *chain.Chain) {
	stats := c.Stats()
	decisionMetrics(to, stats)
	policyMetrics(to, stats)
	to.Histograms("broker_stage_seconds", "How long a stage took, of the envelopes that were timed: one in "+strconv.Itoa(chain.DefaultTiming)+" and those with a trace",
		labels(byStage()), timings(stats)...)
	shadowMetrics(to, stats)
	var up []telemetry.Sample
	for _, l := range c.Describe(false).Links {
		if l.Condition != "" {
			up = append(up, sample(oneIf(l.Condition == "up"), l.Name, strconv.FormatBool(l.Required)))
		}
	}
	to.Gauges("broker_stage_up", "1 if the stage can be asked, 0 if not; the broker is not ready without those that are required",
		labels(byStage(), by("required", "true or false")), up)
}

func decisionMetrics(to telemetry.To, stats chain.Stats) {
	var envelopes, failures, fallbacks []telemetry.Sample
	for _, s := range stats {
		for _, d := range s.Decisions {
			envelopes = append(envelopes, sample(d.Count, s.Link, string(d.Kind), d.Verdict))
		}
		counts := make(map[string]uint64, len(s.Failures))
		for _, f := range s.Failures {
			counts[f.Failure] = f.Count
		}
		failures = append(failures, each(chain.FailureWords(), counts, s.Link)...)
		f := s.Fallback
		if f == nil && slices.ContainsFunc(s.Policies, func(p chain.PolicyStat) bool { return p.Policy == chain.Fallback }) {
			f = new(chain.FallbackStat)
		}
		if f != nil {
			fallbacks = append(fallbacks, sample(f.Decided, s.Link, "decided"), sample(f.Failed, s.Link, "failed"))
		}
	}
	to.Counters("broker_stage_envelopes_total", "Envelopes that a stage decided on, those included that its on_failure decided",
		labels(byStage(), by("kind", "a kind that a stage of the chain names, such as send; prefix* for the others of a family; * for all others"),
			by("verdict", "continue, deny, drop or answer")), envelopes)
	to.Counters("broker_stage_failures_total", "Envelopes on which a stage failed; cancelled is no fault of the stage",
		labels(byStage(), by("reason", strings.Join(chain.FailureWords(), ", "))), failures)
	to.Counters("broker_stage_fallback_total", "Envelopes that the fallback of a failed stage was asked about",
		labels(byStage(), by("result", "decided or failed")), fallbacks)
}

// policyMetrics gives what the links' failure policies made of failures.
func policyMetrics(to telemetry.To, stats chain.Stats) {
	var samples []telemetry.Sample
	for _, s := range stats {
		for _, p := range s.Policies {
			samples = append(samples, sample(p.Count, s.Link, string(p.Policy), strconv.FormatBool(p.Held)))
		}
	}
	to.Counters("broker_stage_policy_total", "Envelopes on which a stage failed, by what its on_failure made of them",
		labels(byStage(), by("policy", "fail_closed, refused; fail_open, let through unjudged; fallback, left to the other stage"),
			by("held", "true after a wait in vain, with hold; then policy is its then; else false")), samples)
}

func timings(stats chain.Stats) []telemetry.Series {
	list := make([]telemetry.Series, 0, len(stats))
	for _, s := range stats {
		buckets := make([]telemetry.Bucket, 0, len(s.Timing.Bounds))
		n := uint64(0)
		for i, bound := range s.Timing.Bounds {
			n += s.Timing.Counts[i]
			buckets = append(buckets, telemetry.Bucket{UpTo: bound.Seconds(), Count: int64(n)}) //nolint:gosec // a count
		}
		list = append(list, series(s.Link, s.Timing.Count, s.Timing.Sum, buckets))
	}
	return list
}

func series(link string, count uint64, sum time.Duration, buckets []telemetry.Bucket) telemetry.Series {
	return telemetry.Series{Values: []string{link}, Buckets: buckets, Count: int64(count), Sum: sum.Seconds()} //nolint:gosec // a count
}

func shadowMetrics(to telemetry.To, stats chain.Stats) {
	var judged, disagreed, dropped []telemetry.Sample
	for _, s := range stats {
		if s.Shadow == nil {
			continue
		}
		for _, v := range s.Shadow.Verdicts {
			judged = append(judged, sample(v.Count, s.Link, v.Shadow, v.Chain))
		}
		disagreed = append(disagreed, sample(s.Shadow.Disagreements, s.Link))
		dropped = append(dropped, sample(s.Shadow.Dropped, s.Link))
	}
	shadow := by("stage", "name of a link in shadow")
	to.Counters("broker_stage_shadow_total", "Envelopes by what a stage in shadow said and what the chain decided",
		labels(shadow, by("shadow", "continue, deny, drop, answer or failed"), by("chain", "continue, deny, drop or answer")), judged)
	to.Counters("broker_stage_shadow_disagree_total", "Of these, those that either alone would have refused", labels(shadow), disagreed)
	to.Counters("broker_stage_shadow_dropped_total", "Envelopes that a stage in shadow was not asked about, for lack of room", labels(shadow), dropped)
}

package app

import (
	"strconv"
	"time"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/telemetry"
)

// stageMetrics writes what the chain counts, by the names of links. A link that
// a reload took away keeps its counters.
func stageMetrics(t *telemetry.Text, c *chain.Chain) {
	stats := c.Stats()
	decisionMetrics(t, stats)
	t.Histograms("broker_stage_seconds", "How long a stage took, of the envelopes that were timed: one in "+strconv.Itoa(chain.DefaultTiming)+" and those with a trace", timings(stats))
	shadowMetrics(t, stats)
	var up []telemetry.Sample
	for _, l := range c.Describe(false).Links {
		if l.Condition != "" {
			up = append(up, sample(oneIf(l.Condition == "up"), "stage", l.Name, "required", strconv.FormatBool(l.Required)))
		}
	}
	t.Gauges("broker_stage_up", "1 if the stage can be asked, 0 if not; the broker is not ready without those that are required", up)
}

func decisionMetrics(t *telemetry.Text, stats chain.Stats) {
	var envelopes, failures, fallbacks []telemetry.Sample
	for _, s := range stats {
		for _, d := range s.Decisions {
			envelopes = append(envelopes, sample(d.Count, "stage", s.Link, "kind", string(d.Kind), "verdict", d.Verdict))
		}
		for _, f := range s.Failures {
			failures = append(failures, sample(f.Count, "stage", s.Link, "reason", f.Failure))
		}
		if f := s.Fallback; f != nil {
			fallbacks = append(fallbacks,
				sample(f.Decided, "stage", s.Link, "result", "decided"), sample(f.Failed, "stage", s.Link, "result", "failed"))
		}
	}
	t.Samples("broker_stage_envelopes_total", "Envelopes that a stage decided on, those included that its on_failure decided", envelopes)
	t.Samples("broker_stage_failures_total", "Envelopes on which a stage failed; cancelled is no fault of the stage", failures)
	t.Samples("broker_stage_fallback_total", "Envelopes that the fallback of a failed stage was asked about", fallbacks)
}

func timings(stats chain.Stats) []telemetry.Series {
	list := make([]telemetry.Series, 0, len(stats))
	for _, s := range stats {
		var buckets []telemetry.Bucket
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
	return telemetry.Series{
		Labels: []telemetry.Label{{Name: "stage", Value: link}}, Buckets: buckets,
		Count: int64(count), Sum: sum.Seconds(), //nolint:gosec // a count
	}
}

func shadowMetrics(t *telemetry.Text, stats chain.Stats) {
	var judged, disagreed, dropped []telemetry.Sample
	for _, s := range stats {
		if s.Shadow == nil {
			continue
		}
		for _, v := range s.Shadow.Verdicts {
			judged = append(judged, sample(v.Count, "stage", s.Link, "shadow", v.Shadow, "chain", v.Chain))
		}
		disagreed = append(disagreed, sample(s.Shadow.Disagreements, "stage", s.Link))
		dropped = append(dropped, sample(s.Shadow.Dropped, "stage", s.Link))
	}
	t.Samples("broker_stage_shadow_total", "Envelopes by what a stage in shadow said and what the chain decided", judged)
	t.Samples("broker_stage_shadow_disagree_total", "Of these, those that either alone would have refused", disagreed)
	t.Samples("broker_stage_shadow_dropped_total", "Envelopes that a stage in shadow was not asked about, for lack of room", dropped)
}

// sample is a value with labels, given as names and values in turn.
func sample[N int | int64 | uint64 | float64](value N, labels ...string) telemetry.Sample {
	s := telemetry.Sample{Value: float64(value)}
	for i := 0; i+1 < len(labels); i += 2 {
		s.Labels = append(s.Labels, telemetry.Label{Name: labels[i], Value: labels[i+1]})
	}
	return s
}

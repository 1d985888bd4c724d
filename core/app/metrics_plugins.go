package app

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/core/pluginhost/supervise"
	"github.com/claudemesh/broker/core/telemetry"
)

// pluginMetrics writes what the host of plugins knows, by the names of links.
// Counters begin again with a reload that changes the link.
func pluginMetrics(t *telemetry.Text, list []pluginhost.Status) {
	list = newest(list)
	batchMetrics(t, list)
	hopMetrics(t, list)
	processMetrics(t, list)
}

// newest leaves one status a link: while a reload has two of them, that of the
// instance that was configured last.
func newest(list []pluginhost.Status) []pluginhost.Status {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b pluginhost.Status) int {
		return cmp.Or(cmp.Compare(a.Link, b.Link), cmp.Compare(instanceNumber(b), instanceNumber(a)))
	})
	return slices.CompactFunc(list, func(a, b pluginhost.Status) bool { return a.Link == b.Link })
}

// instanceNumber rises with each instance of a host; 0 before the first.
func instanceNumber(s pluginhost.Status) int {
	n, _ := strconv.Atoi(s.Instance[strings.LastIndexByte(s.Instance, '-')+1:])
	return n
}

// batchMetrics writes how envelopes cross.
func batchMetrics(t *telemetry.Text, list []pluginhost.Status) {
	var sizes, queued, crossing []telemetry.Series
	for _, s := range list {
		h := s.Hop
		size := series(s.Link, h.Batches, 0, nil)
		size.Sum = float64(h.Sent)
		sizes = append(sizes, size)
		queued = append(queued, series(s.Link, h.Sent, h.Queued, nil))
		crossing = append(crossing, series(s.Link, h.Answered, h.Crossing, nil))
	}
	t.Summaries("broker_stage_batch_size", "Envelopes in the batches that went to a plugin", sizes)
	t.Summaries("broker_stage_queued_seconds", "How long an envelope waited for its batch to be sent", queued)
	t.Summaries("broker_stage_crossing_seconds", "From a batch's way to the plugin until its answer", crossing)
}

// breakerState is the value of the gauge.
func breakerState(s pluginhost.Status) uint64 {
	switch s.Hop.Breaker {
	case "open":
		return 2
	case "half-open":
		return 1
	default:
		return 0
	}
}

// hopMetrics writes how the roads to plugins are.
func hopMetrics(t *telemetry.Text, list []pluginhost.Status) {
	per := func(labels string, value func(pluginhost.Status) uint64) (samples []telemetry.Sample) {
		for _, s := range list {
			samples = append(samples, sample(value(s), labels, s.Link))
		}
		return samples
	}
	t.Gauges("broker_stage_inflight", "Envelopes that a plugin has in hand", per("stage", func(s pluginhost.Status) uint64 { return count(s.Hop.InHand) }))
	t.Gauges("broker_stage_waiting", "Envelopes that wait to be sent to a plugin", per("stage", func(s pluginhost.Status) uint64 { return count(s.Hop.Waiting) }))
	t.Gauges("broker_stage_credit", "Most envelopes that a plugin may have in hand", per("stage", func(s pluginhost.Status) uint64 { return count(s.Hop.Window) }))
	t.Gauges("broker_stage_breaker_state", "0 closed, 1 half-open, 2 open: the plugin is left alone", per("stage", breakerState))
	var failures []telemetry.Sample
	for _, s := range list {
		for reason, n := range s.Hop.Failures {
			failures = append(failures, sample(n, "link", s.Link, "reason", reason))
		}
	}
	t.Samples("broker_plugin_failures_total", "Envelopes without a verdict, by what went wrong on the way to the plugin and back", failures)
	t.Samples("broker_plugin_late_total", "Answers that came after the deadline", per("link", func(s pluginhost.Status) uint64 { return s.Hop.Late }))
	t.Samples("broker_plugin_protocol_errors_total", "Answers against the protocol", per("link", func(s pluginhost.Status) uint64 { return s.Hop.Breaches }))
	t.Samples("broker_plugin_replayed_total", "Envelopes that were asked again after a crash", per("link", func(s pluginhost.Status) uint64 { return s.Hop.Replayed }))
	t.Samples("broker_plugin_outcomes_missed_total", "Outcomes that an observer was not told, because it was behind or away", per("link", func(s pluginhost.Status) uint64 { return s.Hop.Missed }))
}

// count is n, 0 when it is less.
func count(n int) uint64 { return uint64(max(n, 0)) }

// processMetrics writes how the processes are. Links that share one have its
// numbers each.
func processMetrics(t *telemetry.Text, list []pluginhost.Status) {
	phases := []supervise.Phase{supervise.Starting, supervise.Up, supervise.Waiting, supervise.Quarantined, supervise.Stopped}
	var up, phase, restarts, rss, cpu []telemetry.Sample
	for _, s := range list {
		up = append(up, sample(oneIf(s.Down == ""), "link", s.Link))
		for _, p := range phases {
			phase = append(phase, sample(oneIf(s.Phase == string(p)), "link", s.Link, "phase", string(p)))
		}
		for reason, n := range s.Restarts {
			restarts = append(restarts, sample(n, "link", s.Link, "reason", reason))
		}
		rss = append(rss, sample(s.Usage.RSSBytes, "link", s.Link))
		cpu = append(cpu, sample(s.Usage.CPUSeconds, "link", s.Link))
	}
	t.Gauges("broker_plugin_up", "1 if envelopes reach the plugin, 0 if not", up)
	t.Gauges("broker_plugin_phase", "1 for the phase that the plugin's process is in", phase)
	t.Samples("broker_plugin_restarts_total", "Ends of the plugin's process that were not asked for", restarts)
	t.Gauges("broker_plugin_rss_bytes", "Memory of the plugin's process, with what it shares", rss)
	t.Gauges("broker_plugin_cpu_seconds", "CPU time of the plugin's process since its start", cpu)
}

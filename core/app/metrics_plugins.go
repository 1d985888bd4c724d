package app

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/core/pluginhost/hop"
	"github.com/claudemesh/broker/core/pluginhost/supervise"
	"github.com/claudemesh/broker/core/telemetry"
)

// pluginMetrics gives what the host of plugins knows, by the names of links.
// Gauges are of the links that are there, counters of all that ever were: they
// outlive reloads.
func pluginMetrics(to telemetry.To, list []pluginhost.Status, counts []pluginhost.Counts) {
	list = newest(list)
	batchMetrics(to, counts)
	hopMetrics(to, list)
	hopCounters(to, counts)
	pluginProcessMetrics(to, list)
	pluginProcessCounters(to, counts)
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

// batchMetrics gives how envelopes cross.
func batchMetrics(to telemetry.To, list []pluginhost.Counts) {
	var sizes, queued, crossing []telemetry.Series
	of := func(link string, s telemetry.Series) telemetry.Series {
		s.Values = []string{link}
		return s
	}
	for _, s := range list {
		sizes, crossing = append(sizes, of(s.Link, s.Hop.Sizes)), append(crossing, of(s.Link, s.Hop.Crossings))
		queued = append(queued, series(s.Link, s.Hop.Sent, s.Hop.Queued, nil))
	}
	stage := labels(by("stage", byLink().Values))
	to.Histograms("broker_stage_batch_size", "Envelopes in the batches that went to a plugin", stage, sizes...)
	to.Summaries("broker_stage_queued_seconds", "How long an envelope waited for its batch to be sent", stage, queued...)
	to.Histograms("broker_stage_crossing_seconds", "From a batch's way to the plugin until its answer", stage, crossing...)
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

// hopMetrics gives how the roads to plugins are.
func hopMetrics(to telemetry.To, list []pluginhost.Status) {
	per := func(value func(pluginhost.Status) uint64) (samples []telemetry.Sample) {
		for _, s := range list {
			samples = append(samples, sample(value(s), s.Link))
		}
		return samples
	}
	stage := labels(by("stage", byLink().Values))
	to.Gauges("broker_stage_inflight", "Envelopes that a plugin has in hand", stage, per(func(s pluginhost.Status) uint64 { return count(s.Hop.InHand) }))
	to.Gauges("broker_stage_waiting", "Envelopes that wait to be sent to a plugin", stage, per(func(s pluginhost.Status) uint64 { return count(s.Hop.Waiting) }))
	to.Gauges("broker_stage_credit", "Most envelopes that a plugin may have in hand", stage, per(func(s pluginhost.Status) uint64 { return count(s.Hop.Window) }))
	to.Gauges("broker_stage_breaker_state", "0 closed, 1 half-open, 2 open: the plugin is left alone", stage, per(breakerState))
}

// hopCounters gives what has happened on them.
func hopCounters(to telemetry.To, list []pluginhost.Counts) {
	per := func(value func(hop.Stats) uint64) (samples []telemetry.Sample) {
		for _, s := range list {
			samples = append(samples, sample(value(s.Hop), s.Link))
		}
		return samples
	}
	var failures, spans []telemetry.Sample
	for _, s := range list {
		spans = append(spans, sample(s.Hop.Spans, s.Link, "taken"), sample(s.Hop.SpansDropped, s.Link, "dropped"))
		failures = append(failures, each(hop.FailureWords(), s.Hop.Failures, s.Link)...)
	}
	to.Counters("broker_plugin_failures_total", "Envelopes without a verdict, by what went wrong on the way to the plugin and back",
		labels(byLink(), by("reason", strings.Join(hop.FailureWords(), ", "))), failures)
	link := labels(byLink())
	to.Counters("broker_plugin_late_total", "Answers that came after the deadline", link, per(func(s hop.Stats) uint64 { return s.Late }))
	to.Counters("broker_plugin_protocol_errors_total", "Answers against the protocol", link, per(func(s hop.Stats) uint64 { return s.Breaches }))
	to.Counters("broker_plugin_replayed_total", "Envelopes that were asked again after a crash", link, per(func(s hop.Stats) uint64 { return s.Replayed }))
	to.Counters("broker_plugin_outcomes_missed_total", "Outcomes that an observer was not told, because it was behind or away", link, per(func(s hop.Stats) uint64 { return s.Missed }))
	to.Counters("broker_plugin_spans_total", "Spans of its own work that a plugin brought",
		labels(byLink(), by("result", "taken, or dropped: too many, too large, or not its own")), spans)
}

// count is n, 0 when it is less.
func count(n int) uint64 { return uint64(max(n, 0)) }

// pluginProcessMetrics gives how the processes are. Links that share one have its
// numbers each.
func pluginProcessMetrics(to telemetry.To, list []pluginhost.Status) {
	phases := []supervise.Phase{supervise.Starting, supervise.Up, supervise.Waiting, supervise.Quarantined, supervise.Stopped}
	var up, phase, rss []telemetry.Sample
	for _, s := range list {
		up = append(up, sample(oneIf(s.Down == ""), s.Link))
		for _, p := range phases {
			phase = append(phase, sample(oneIf(s.Phase == string(p)), s.Link, string(p)))
		}
		rss = append(rss, sample(s.Usage.RSSBytes, s.Link))
	}
	link := labels(byLink())
	to.Gauges("broker_plugin_up", "1 if envelopes reach the plugin, 0 if not", link, up)
	to.Gauges("broker_plugin_phase", "1 for the phase that the plugin's process is in", labels(byLink(), by("phase", "starting, up, waiting, quarantined or stopped")), phase)
	to.Gauges("broker_plugin_rss_bytes", "Memory of the plugin's process, with what it shares", link, rss)
}

// pluginProcessCounters gives how they were.
func pluginProcessCounters(to telemetry.To, list []pluginhost.Counts) {
	var restarts, cpu []telemetry.Sample
	for _, s := range list {
		restarts = append(restarts, each(pluginhost.RestartReasons(), s.Restarts, s.Link)...)
		cpu = append(cpu, sample(s.CPU, s.Link))
	}
	to.Counters("broker_plugin_restarts_total", "Ends of the plugin's process that were not asked for",
		labels(byLink(), by("reason", strings.Join(pluginhost.RestartReasons(), ", "))), restarts)
	to.Counters("broker_plugin_cpu_seconds_total", "CPU time of the plugin's processes, as far as it was read before their ends", labels(byLink()), cpu)
}

package app

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/core/server"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/telemetry"
	"github.com/claudemesh/broker/sdk"
)

// measureEvery is how often the gauges that ask the store are renewed.
const measureEvery = 15 * time.Second

// depth is what waits in the queue, as last measured.
type depth struct {
	waiting atomic.Int64
	oldest  atomic.Int64 // seconds since the oldest was accepted
}

// probe is whether the store answered when last asked.
type probe struct{ healthy atomic.Bool }

// measure renews the gauges that ask the store, until ctx ends.
func (a *App) measure(ctx context.Context) {
	tick := time.NewTicker(measureEvery)
	defer tick.Stop()
	for {
		n, oldest, err := a.options.Store.QueueDepth(ctx)
		a.probe.healthy.Store(err == nil)
		if err == nil {
			a.depth.waiting.Store(n)
			a.depth.oldest.Store(0)
			if n > 0 {
				a.depth.oldest.Store(int64(time.Since(oldest).Seconds()))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Metrics gives everything that the broker counts: first the names that the
// original's dashboard knows, then ours. It may be called at any time; two calls
// at once do not disturb each other.
func (a *App) Metrics(sink telemetry.Sink) {
	to := telemetry.To{Sink: sink}
	a.originalMetrics(to)
	a.readyMetrics(to)
	a.envelopeMetrics(to)
	a.refusalMetrics(to)
	a.connectionMetrics(to)
	a.beyondMetrics(to)
	a.answered.Write(sink)
	stageMetrics(to, a.Chain())
	if p := a.options.Plugins; p != nil {
		pluginMetrics(to, p.Status(), p.Counts())
	}
	if a.options.Reloads != nil {
		reloadMetrics(to, a.options.Reloads())
	}
	if n := a.options.Cluster; n != nil {
		clusterMetrics(to, n)
	}
	if p, ok := a.options.Store.(store.Pooled); ok {
		poolMetrics(to, p.Usage())
	}
	if p := a.options.Traces; p != nil {
		traceMetrics(to, p)
	}
	a.buildMetrics(to)
	processMetrics(to)
	runtimeMetrics(to)
}

// originalMetrics gives the names of the original, with their types and labels.
func (a *App) originalMetrics(to telemetry.To) {
	x, e, h := &a.exchange.Counters, &a.engine.Counters, &a.hub.Counters
	to.Counter("broker_connections_total", "Total WS connection attempts", float64(h.Accepted.Load()))
	bare(to, "broker_connections_rejected_total", "WS connections refused (auth failure, capacity, etc.)", byReason(), words(x.Hellos.Snapshot()))
	to.Gauge("broker_connections_active", "Currently connected peers", float64(a.hub.Count()))
	bare(to, "broker_messages_routed_total", "Messages successfully queued + routed",
		telemetry.Label{Name: "priority", Values: "now, next or low"}, map[string]int64{
			"now":  e.Routed[sdk.PriorityNow].Load(),
			"next": e.Routed[sdk.PriorityNext].Load(),
			"low":  e.Routed[sdk.PriorityLow].Load(),
		})
	refused := words(x.Refused.Snapshot())
	if n := x.Invalid.Load(); n > 0 {
		refused["parse_or_handler"] += n // a stage may have the word too
	}
	bare(to, "broker_messages_rejected_total", "Messages rejected (size, auth, malformed)",
		telemetry.Label{Name: "reason", Values: "parse_or_handler for what is no message, which is counted under its code too; else " + byReason().Values}, refused)
	bare(to, "broker_messages_dropped_by_grant_total", "Messages silently dropped because recipient didn't grant sender the required capability",
		telemetry.Label{Name: "cap", Values: "dm or broadcast"}, a.dropped())
	to.Counter("broker_legacy_auth_hits_total", "Pre-alpha.36 clients authenticating via body.user_id fallback (remove shim when near zero)", float64(a.legacyHits()))
	to.Counter("broker_hook_requests_total", "POST /hook/set-status requests received", float64(a.dir.Counters.Hooks.Load()))
	to.Counter("broker_hook_requests_rate_limited_total", "POST /hook/set-status rejected by rate limit", float64(a.dir.Counters.HooksLimited.Load()))
	to.Counter("broker_ttl_sweeps_total", "TTL sweeper runs completed", float64(a.dir.Counters.Sweeps.Load()))
	to.Gauge("broker_queue_depth", "Undelivered messages currently in the queue", float64(a.depth.waiting.Load()))
	to.Gauge("broker_db_healthy", "1 if the store answers, 0 if not", oneIf(a.probe.healthy.Load()))
}

// bare gives counters of the original by their one label: without a sample, there
// is a bare 0.
func bare(to telemetry.To, name, help string, by telemetry.Label, values map[string]int64) {
	samples := make([]telemetry.Sample, 0, len(values))
	for v, n := range values {
		samples = append(samples, sample(n, v))
	}
	to.Samples(telemetry.Family{Name: name, Kind: telemetry.KindCounter, Help: help, Labels: []telemetry.Label{by}, Bare: true}, samples)
}

// dropped asks whoever wired the stages what grants kept out, by capability.
func (a *App) dropped() map[string]int64 {
	if a.options.Dropped == nil {
		return nil
	}
	return a.options.Dropped()
}

func (a *App) legacyHits() int64 {
	if a.options.LegacyHits == nil {
		return 0
	}
	return a.options.LegacyHits()
}

func words(counts map[sdk.Reason]int64) map[string]int64 {
	out := make(map[string]int64, len(counts))
	for r, n := range counts {
		out[string(r)] = n
	}
	return out
}

// readyMetrics gives whether the broker wants traffic, and why not.
func (a *App) readyMetrics(to telemetry.To) {
	now, all := a.health.Unready(), server.UnreadyReasons()
	reasons := make([]telemetry.Sample, 0, len(all))
	for _, reason := range all {
		reasons = append(reasons, sample(oneIf(reason == now), reason))
	}
	to.Gauge("broker_ready", "1 if /health/ready answers 200, 0 if 503", oneIf(now == ""))
	to.Gauges("broker_not_ready", "1 for the reason why the broker is not ready, the first of them",
		labels(by("reason", strings.Join(all, ", "))), reasons)
}

// each gives a sample for each word that something is counted by, 0 where nothing
// was: a counter that is there only from its first event on hides that event from
// increase() and rate(). of are the labels before the word.
func each(words []string, counts map[string]uint64, of ...string) []telemetry.Sample {
	samples := make([]telemetry.Sample, 0, len(words))
	for _, w := range words {
		samples = append(samples, sample(counts[w], append(slices.Clone(of), w)...))
	}
	for w, n := range counts {
		if !slices.Contains(words, w) {
			samples = append(samples, sample(n, append(slices.Clone(of), w)...))
		}
	}
	return samples
}

// sample is a number with the values of its labels.
func sample[N int | int64 | uint64 | float64](value N, values ...string) telemetry.Sample {
	return telemetry.Sample{Values: values, Value: float64(value)}
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

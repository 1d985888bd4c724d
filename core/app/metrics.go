package app

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/core/cluster"
	"github.com/claudemesh/broker/core/reload"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/telemetry"
	"github.com/claudemesh/broker/sdk"
)

// measureEvery is how often the gauges that ask the store are renewed.
const measureEvery = 15 * time.Second

// Up to where histograms tell durations and sizes apart.
const (
	longest     = 16 * time.Second // of what somebody waits for
	longestWait = 16 * time.Hour   // in the queue
	most        = 512              // works in a transaction
)

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

// metrics writes everything that the broker counts: first the names that the
// original's dashboard knows, then ours.
func (a *App) metrics(t *telemetry.Text) {
	x, e, h := &a.exchange.Counters, &a.engine.Counters, &a.hub.Counters
	t.Counter("broker_connections_total", "Total WS connection attempts", h.Accepted.Load())
	t.Counters("broker_connections_rejected_total", "WS connections refused (auth failure, capacity, etc.)", "reason", words(x.Hellos.Snapshot()))
	t.Gauge("broker_connections_active", "Currently connected peers", int64(a.hub.Count()))
	t.Counters("broker_messages_routed_total", "Messages successfully queued + routed", "priority", map[string]int64{
		"now":  e.Routed[sdk.PriorityNow].Load(),
		"next": e.Routed[sdk.PriorityNext].Load(),
		"low":  e.Routed[sdk.PriorityLow].Load(),
	})
	refused := words(x.Refused.Snapshot())
	if n := x.Invalid.Load(); n > 0 {
		refused["parse_or_handler"] = n
	}
	t.Counters("broker_messages_rejected_total", "Messages rejected (size, auth, malformed)", "reason", refused)
	t.Counters("broker_messages_dropped_by_grant_total", "Messages silently dropped because recipient didn't grant sender the required capability", "cap", a.dropped())
	t.Counter("broker_legacy_auth_hits_total", "Pre-alpha.36 clients authenticating via body.user_id fallback (remove shim when near zero)", a.legacyHits())
	t.Counter("broker_hook_requests_total", "POST /hook/set-status requests received", a.dir.Counters.Hooks.Load())
	t.Counter("broker_hook_requests_rate_limited_total", "POST /hook/set-status rejected by rate limit", a.dir.Counters.HooksLimited.Load())
	t.Counter("broker_ttl_sweeps_total", "TTL sweeper runs completed", a.dir.Counters.Sweeps.Load())
	t.Gauge("broker_queue_depth", "Undelivered messages currently in the queue", a.depth.waiting.Load())
	t.Gauge("broker_queue_oldest_seconds", "Age of the oldest message in the queue", a.depth.oldest.Load())
	t.Gauge("broker_db_healthy", "1 if the store answers, 0 if not", oneIf(a.probe.healthy.Load()))
	a.ownMetrics(t)
}

// dropped asks whoever wired the stages what grants kept out, by capability.
func (a *App) dropped() map[string]int64 {
	if a.options.Dropped == nil {
		return nil
	}
	return a.options.Dropped()
}

// ownMetrics writes what the original did not count.
func (a *App) ownMetrics(t *telemetry.Text) {
	x, e, h, c := &a.exchange.Counters, &a.engine.Counters, &a.hub.Counters, &a.committer.Counters
	t.Gauge("broker_sessions", "Sessions, those in their grace time included", int64(a.dir.Count()))
	t.Counter("broker_frames_total", "Frames read", x.Frames.Load())
	t.Counter("broker_peers_slow_total", "Connections closed because their outbox was full", h.Slow.Load())
	t.Counter("broker_peers_dead_total", "Connections cut because nothing came for too long", h.Dead.Load())
	t.Counter("broker_deliveries_confirmed_total", "Deliveries that their recipient confirmed", e.Confirmed.Load())
	t.Counter("broker_deliveries_direct_total", "Of these, confirmed before a queue row was needed", e.Direct.Load())
	t.Counter("broker_deliveries_drained_total", "Pushes read from the queue", e.Drained.Load())
	t.Counter("broker_deliveries_repeated_total", "Pushes repeated because their confirmation was late", e.Repeated.Load())
	t.Counter("broker_deliveries_released_total", "Deliveries that a stage had held back, and whose time has come", e.Released.Load())
	t.Counter("broker_deliveries_expired_total", "Deliveries given up because their time was over", e.Expired.Load())
	t.Counter("broker_sends_duplicate_total", "Sends answered from the memory of client_message_id", e.Duplicates.Load())
	t.Counter("broker_commits_total", "Transactions of the group commit", c.Commits.Load())
	t.Counter("broker_commit_failures_total", "Transactions of the group commit that failed", c.Failures.Load())
	t.Histograms("broker_commit_seconds", "How long a transaction of the group commit took", []telemetry.Series{c.Took.Series(longest)})
	t.Histograms("broker_commit_works", "Works in a transaction of the group commit", []telemetry.Series{c.Sizes.Series(most)})
	t.Histograms("broker_push_seconds", "From a message's acceptance to its first push to a session, by whether it was pushed at once or from the queue", []telemetry.Series{
		e.PushedAtOnce.Series(longestWait, telemetry.Label{Name: "way", Value: "direct"}),
		e.PushedLater.Series(longestWait, telemetry.Label{Name: "way", Value: "queue"}),
	})
	t.Histograms("broker_confirm_seconds", "From a push to its confirmation", []telemetry.Series{e.Confirmation.Series(longest)})
	t.Histograms("broker_send_seconds", "From a send's frame to its ack", []telemetry.Series{x.Latency.Series(longest)})
	a.answered.Write(t)
	ownProcess(t)
	if p, ok := a.options.Store.(store.Pooled); ok {
		poolMetrics(t, p.Usage())
	}
	stageMetrics(t, a.Chain())
	if p := a.options.Plugins; p != nil {
		pluginMetrics(t, p.Status())
	}
	if a.options.Reloads != nil {
		reloadMetrics(t, a.options.Reloads())
	}
	if n := a.options.Cluster; n != nil {
		clusterMetrics(t, n)
	}
}

// reloadMetrics writes which config the chain was made of, and how loading it
// went.
func reloadMetrics(t *telemetry.Text, n reload.Numbers) {
	t.Gauge("broker_config_generation", "Which chain runs: 1 since the start, one more with each reload", int64(n.Generation)) //nolint:gosec // a count
	t.Gauge("broker_config_last_reload_successful", "1 if the newest load of the config was applied, 0 if it was refused", oneIf(n.Successful))
	t.Gauge("broker_config_last_reload_timestamp_seconds", "When the config was last loaded, well or not, the start included", n.Last.Unix())
	samples := make([]telemetry.Sample, 0, len(n.Counts))
	for c, total := range n.Counts {
		samples = append(samples, sample(total, "trigger", string(c.By), "result", string(c.Result)))
	}
	t.Samples("broker_config_reloads_total", "Loads of the config after the start, by what asked for them and how they ended", samples)
}

// clusterMetrics writes what a node counts that shares its store with others.
func clusterMetrics(t *telemetry.Text, n *cluster.Node) {
	c, b := &n.Counters, n.BusStats()
	t.Gauge("broker_lease_held", "1 if this replica may push, 0 if its lease is over", oneIf(n.Held()))
	t.Counter("broker_lease_lost_total", "Times that the lease was found over", c.Fenced.Load())
	t.Counter("broker_cluster_wakes_total", "Wakes from other replicas", c.Wakes.Load())
	t.Counter("broker_cluster_polled_total", "Keys for which a poll found something waiting", c.Polled.Load())
	t.Counter("broker_cluster_mirrored_total", "Presence rows of other replicas taken in", c.Mirrored.Load())
	t.Counter("broker_cluster_orphans_total", "Sessions of dead replicas ended here", c.Orphans.Load())
	t.Counter("broker_cluster_signals_total", "Signals worked on", c.Signalled.Load())
	t.Gauge("broker_bus_up", "1 if the bus is connected, 0 if not", oneIf(n.BusUp()))
	t.Counter("broker_bus_published_total", "Messages given to the bus", int64(b.Published))    //nolint:gosec // counts
	t.Counter("broker_bus_dropped_total", "Of these, not sent", int64(b.Dropped))               //nolint:gosec // counts
	t.Counter("broker_bus_received_total", "Messages from other replicas", int64(b.Received))   //nolint:gosec // counts
	t.Counter("broker_bus_lost_total", "Times that messages may have been lost", int64(b.Lost)) //nolint:gosec // counts
}

func oneIf(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

func words(counts map[sdk.Reason]int64) map[string]int64 {
	out := make(map[string]int64, len(counts))
	for r, n := range counts {
		out[string(r)] = n
	}
	return out
}

func (a *App) legacyHits() int64 {
	if a.options.LegacyHits == nil {
		return 0
	}
	return a.options.LegacyHits()
}

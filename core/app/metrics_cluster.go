package app

import (
	"github.com/claudemesh/broker/core/cluster"
	"github.com/claudemesh/broker/core/reload"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/telemetry"
)

// reloadMetrics gives which config the chain was made of, and how loading it
// went.
func reloadMetrics(to telemetry.To, n reload.Numbers) {
	to.Gauge("broker_config_generation", "Which chain runs: 1 since the start, one more with each reload", float64(n.Generation))
	to.Gauge("broker_config_last_reload_successful", "1 if the newest load of the config was applied, 0 if it was refused", oneIf(n.Successful))
	to.Gauge("broker_config_last_reload_timestamp_seconds", "When the config was last loaded, well or not, the start included", float64(n.Last.Unix()))
	samples := make([]telemetry.Sample, 0, len(n.Counts))
	for c, total := range n.Counts {
		samples = append(samples, sample(total, string(c.By), string(c.Result)))
	}
	to.Counters("broker_config_reloads_total", "Loads of the config after the start, by what asked for them and how they ended",
		labels(by("trigger", "signal, file or command"), by("result", "applied or refused")), samples)
}

// clusterMetrics gives what a node counts that shares its store with others.
func clusterMetrics(to telemetry.To, n *cluster.Node) {
	c, b := &n.Counters, n.BusStats()
	to.Gauge("broker_lease_held", "1 if this replica may push, 0 if its lease is over", oneIf(n.Held()))
	to.Counter("broker_lease_lost_total", "Times that the lease was found over", float64(c.Fenced.Load()))
	to.Counter("broker_cluster_wakes_total", "Wakes from other replicas", float64(c.Wakes.Load()))
	to.Counter("broker_cluster_polled_total", "Keys for which a poll found something waiting", float64(c.Polled.Load()))
	to.Counter("broker_cluster_mirrored_total", "Presence rows of other replicas taken in", float64(c.Mirrored.Load()))
	to.Counter("broker_cluster_orphans_total", "Sessions of dead replicas ended here", float64(c.Orphans.Load()))
	to.Counter("broker_cluster_signals_total", "Signals worked on", float64(c.Signalled.Load()))
	to.Gauge("broker_bus_up", "1 if the bus is connected, 0 if not", oneIf(n.BusUp()))
	to.Histograms("broker_bus_lag_seconds", "From another replica's publishing of a wake, an event or a presence until it is worked on here, by the clocks of both", nil, c.Lag.Series(longest))
	to.Counter("broker_bus_published_total", "Messages given to the bus", float64(b.Published))
	to.Counter("broker_bus_dropped_total", "Of these, not sent", float64(b.Dropped))
	to.Counter("broker_bus_received_total", "Messages from other replicas", float64(b.Received))
	to.Counter("broker_bus_lost_total", "Times that messages may have been lost", float64(b.Lost))
}

// poolMetrics gives how the pool of connections to the database is used.
func poolMetrics(to telemetry.To, u store.Usage) {
	to.Gauge("broker_db_connections_in_use", "Connections to the database that somebody uses", float64(u.InUse))
	to.Gauge("broker_db_connections_idle", "Connections to the database that nobody uses", float64(u.Idle))
	to.Gauge("broker_db_connections_max", "Most connections that the pool makes", float64(u.Most))
	to.Counter("broker_db_pool_waits_total", "Times that all connections were in use", float64(u.Waited))
	to.Counter("broker_db_pool_wait_seconds_total", "What these waited", u.WaitTime.Seconds())
}

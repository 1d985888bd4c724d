package app

import (
	"cmp"
	"time"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/telemetry"
	"github.com/claudemesh/broker/core/tracing"
)

// Up to where histograms tell durations and sizes apart.
const (
	longest     = 16 * time.Second // of what somebody waits for
	longestWait = 16 * time.Hour   // in the queue
	mostWorks   = 512              // in a transaction
)

// envelopeMetrics gives what becomes of envelopes, from their frame to the
// confirmation of what they caused.
func (a *App) envelopeMetrics(to telemetry.To) {
	x, e, c := &a.exchange.Counters, &a.engine.Counters, &a.committer.Counters
	to.Counter("broker_frames_total", "Frames read", float64(x.Frames.Load()))
	to.Histograms("broker_send_seconds", "From a send's frame to its ack", nil, x.Latency.Series(longest))
	to.Gauge("broker_queue_oldest_seconds", "Age of the oldest message in the queue", float64(a.depth.oldest.Load()))
	to.Histograms("broker_push_seconds", "From a message's frame to its first push into a session's outbox: its way through the chain, and the time that it was held back or waited for its recipient, included",
		labels(by("way", "direct, pushed at once, or queue, read from the queue later")),
		e.PushedAtOnce.Series(longestWait, "direct"), e.PushedLater.Series(longestWait, "queue"))
	to.Histograms("broker_confirm_seconds", "From a delivery's last push to its confirmation by the recipient", nil, e.Confirmation.Series(longest))
	to.Counter("broker_deliveries_confirmed_total", "Deliveries that their recipient confirmed", float64(e.Confirmed.Load()))
	to.Counter("broker_deliveries_direct_total", "Of these, confirmed before a queue row was needed", float64(e.Direct.Load()))
	to.Counter("broker_deliveries_drained_total", "Pushes read from the queue", float64(e.Drained.Load()))
	to.Gauge("broker_sessions_catching_up", "Sessions that are sent now what waited for them: they get new messages behind it", float64(e.Catching.Load()))
	to.Counter("broker_deliveries_repeated_total", "Pushes repeated because their confirmation was late", float64(e.Repeated.Load()))
	to.Counter("broker_deliveries_released_total", "Deliveries that a stage had held back, and whose time has come", float64(e.Released.Load()))
	to.Counter("broker_deliveries_expired_total", "Deliveries given up because their time was over", float64(e.Expired.Load()))
	to.Counter("broker_sends_duplicate_total", "Sends answered from the memory of client_message_id", float64(e.Duplicates.Load()))
	to.Counter("broker_commits_total", "Transactions of the group commit", float64(c.Commits.Load()))
	to.Counter("broker_commit_failures_total", "Transactions of the group commit that failed", float64(c.Failures.Load()))
	to.Counter("broker_audit_entries_total", "Entries that this broker added to the meshes' audit logs", float64(c.Audited.Load()))
	to.Histograms("broker_commit_seconds", "How long a transaction of the group commit took, waiting for a database that was away included", nil, c.Took.Series(longest))
	to.Histograms("broker_commit_works", "Works in a transaction of the group commit: acceptances of messages, and rows that nobody waits for", nil, c.Sizes.Series(mostWorks))
}

// refusalMetrics gives what was refused, wherever that was. A ring tells some
// hundred pairs apart, and counts further ones as other.
func (a *App) refusalMetrics(to telemetry.To) {
	counts := a.options.Refusals.Counts()
	samples := make([]telemetry.Sample, 0, len(counts))
	for _, c := range counts {
		samples = append(samples, telemetry.Sample{Values: []string{cmp.Or(c.Stage, admin.NoStage), string(c.Reason)}, Value: float64(c.Count)})
	}
	to.Counters("broker_refusals_total", "Envelopes and HTTP requests that were refused or dropped, before and behind the chain too",
		labels(by("stage", "name of the link that decided; - for what no stage refused"), byReason()), samples)
}

// connectionMetrics gives how connections and sessions are.
func (a *App) connectionMetrics(to telemetry.To) {
	h := &a.hub.Counters
	to.Gauge("broker_sessions", "Sessions, those in their grace time included", float64(a.dir.Count()))
	to.Gauge("broker_outbox_bytes", "Bytes that wait to be written, over all connections", float64(a.hub.Waiting()))
	to.Counter("broker_peers_slow_total", "Connections closed because their outbox was full", float64(h.Slow.Load()))
	to.Counter("broker_peers_dead_total", "Connections cut because nothing came for too long", float64(h.Dead.Load()))
}

// traceMetrics gives how many traces there are and what became of their spans.
func traceMetrics(to telemetry.To, p *tracing.Provider) {
	c := &p.Envelopes().Counters
	to.Counters("broker_traces_started_total", "Envelopes that got a span",
		labels(by("by", "ratio, chosen here; peer, chosen by its sender; refused, not chosen and refused or failed")), []telemetry.Sample{
			sample(c.ByRatio.Load(), "ratio"), sample(c.ByPeers.Load(), "peer"), sample(c.Refused.Load(), "refused"),
		})
	to.Counter("broker_traces_declined_total", "Envelopes whose sender traces them and that got no span, because there were too many of these", float64(c.Declined.Load()))
	spans := p.Counts()
	to.Counters("broker_spans_total", "Spans that ended, by what became of them",
		labels(by("result", "sent; failed, the receiver did not take it; dropped, too many waited for the receiver")),
		[]telemetry.Sample{sample(spans.Sent, "sent"), sample(spans.Failed, "failed"), sample(spans.Dropped, "dropped")})
}

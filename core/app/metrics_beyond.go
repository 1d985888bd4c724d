package app

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/core/api"
	"github.com/claudemesh/broker/core/files"
	"github.com/claudemesh/broker/core/meshsql"
	"github.com/claudemesh/broker/core/sse"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/telemetry"
	"github.com/claudemesh/broker/core/watch"
)

// totalsEvery is how often the gauges are renewed that all files and histories are
// read for.
const totalsEvery = 10 * time.Minute

// beyond is what is counted of the things beside messages, where no part of the
// broker counts it for itself.
type beyond struct {
	looks  *telemetry.Tally // at URLs that members watch
	hooks  *telemetry.Tally // requests to webhooks
	sql    *meshsql.Counted // nil where meshes have no databases
	pruned atomic.Int64     // messages that went from histories
	totals atomic.Pointer[store.Totals]
}

// newBeyond counts the statements of the options' engine, too.
func newBeyond(o *Options) *beyond {
	b := &beyond{looks: watch.NewLooks(), hooks: api.NewWebhookTally()}
	if o.SQL != nil {
		b.sql = meshsql.Count(o.SQL)
		o.SQL = b.sql
	}
	return b
}

// sumUp renews what all meshes together keep, until ctx ends.
func (a *App) sumUp(ctx context.Context) {
	tick := time.NewTicker(totalsEvery)
	defer tick.Stop()
	for {
		if t, err := a.options.Store.Totals(ctx); err == nil {
			a.beyond.totals.Store(&t)
		} else if ctx.Err() == nil {
			a.log.Warn("files and histories not counted", slog.Any("err", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// beyondMetrics gives what files, event streams, topics, questions, schedules,
// watches, webhooks and databases of meshes do.
func (a *App) beyondMetrics(to telemetry.To) {
	totals := a.beyond.totals.Load()
	if totals == nil {
		totals = new(store.Totals)
	}
	if a.files != nil {
		fileMetrics(to, &a.files.Counters, totals)
	}
	streamMetrics(to, a.streams)
	to.Gauge("broker_topic_messages", "Messages in the histories of all topics, as of the last ten minutes", float64(totals.TopicMessages))
	to.Counter("broker_topic_messages_kept_total", "Messages that went into the history of a topic", float64(a.engine.Counters.Histories.Load()))
	to.Counter("broker_topic_messages_pruned_total", "Messages deleted from histories for lack of room, for their age, or with their topic", float64(a.beyond.pruned.Load()))
	to.Gauge("broker_questions_waiting", "Questions of sessions here to other sessions that wait for their answer, such as calls of tools", float64(a.relay.Waiting()))
	to.Counters("broker_questions_total", "Questions of sessions here to other sessions, by how they ended",
		labels(by("outcome", "answered; away, nobody is there; busy; late, not answered in time; unread, the asker does not read; illegible, no answer; left, the asker is gone; lost between two nodes")),
		a.relay.Ended.Samples())
	scheduleMetrics(to, &a.scheduler.Counters)
	if a.Config().Watch.Enabled {
		to.Counters("broker_watch_looks_total", "Looks at URLs that members watch, by what came of them",
			labels(by("outcome", "first, no value before; same; changed; refused, not allowed there or to the member; unreachable; unreadable, no value in the answer; failed, by the broker")),
			a.beyond.looks.Samples())
	}
	to.Counters("broker_webhook_requests_total", "Requests to webhooks, by what became of them",
		labels(by("outcome", "sent; nobody, the target is nobody now; unproved, no such webhook or a wrong signature; limited, too often; malformed; refused, as a message of its member; failed, by the broker")),
		a.beyond.hooks.Samples())
	if a.beyond.sql != nil {
		sqlMetrics(to, a.beyond.sql)
	}
}

func fileMetrics(to telemetry.To, c *files.Counters, totals *store.Totals) {
	to.Gauge("broker_files", "Files of all meshes, those that are being uploaded included, as of the last ten minutes", float64(totals.Files))
	to.Gauge("broker_files_bytes", "Bytes of these, with what their uploads will have", float64(totals.FileBytes))
	to.Counter("broker_file_uploads_begun_total", "Uploads of files that began", float64(c.Begun.Load()))
	to.Counter("broker_file_uploads_finished_total", "Uploads whose last byte has arrived", float64(c.Finished.Load()))
	to.Counters("broker_file_uploads_refused_total", "Requests to upload a file, or a part of it, that ended before their end; one that broke off may go on",
		labels(by("reason", c.Refused.Words())), c.Refused.Samples())
	to.Counter("broker_file_received_bytes_total", "Bytes of files that came in", float64(c.Received.Load()))
	to.Counter("broker_file_sent_bytes_total", "Bytes of files that went out", float64(c.Sent.Load()))
	to.Counter("broker_files_expired_total", "Files, and uploads, that were deleted because their time was over", float64(c.Expired.Load()))
	to.Counter("broker_files_erased_total", "Deleted files of which nothing is left", float64(c.Erased.Load()))
	to.Counters("broker_file_sweeps_total", "Sweeps of files, by their result",
		labels(by("result", c.Sweeps.Words())), c.Sweeps.Samples())
}

func streamMetrics(to telemetry.To, s *sse.Streams) {
	c := &s.Counters
	to.Gauge("broker_event_streams", "Event streams that are open, or wait for their caller to come back", float64(s.Count()))
	to.Counter("broker_event_streams_begun_total", "Event streams that began", float64(c.Begun.Load()))
	to.Counter("broker_event_streams_resumed_total", "Answers that went on with an event stream", float64(c.Resumed.Load()))
	to.Counter("broker_event_streams_slow_total", "Answers that ended because their caller did not read", float64(c.Slow.Load()))
	to.Counter("broker_event_stream_news_lost_total", "News that an event stream had no room for: its caller reads too slowly", float64(c.Lost.Load()))
}

func sqlMetrics(to telemetry.To, c *meshsql.Counted) {
	statement := by("statement", "query, which only reads, or execute")
	to.Counters("broker_mesh_sql_statements_total", "Statements to databases of meshes, by how they ended",
		labels(statement, by("outcome", "done; failed, in the database's words; full, no room; busy, too many at a time; off, not set up; gone, nobody waits; away, the database does not answer")),
		append(c.Queries.Ended.Samples("query"), c.Executes.Ended.Samples("execute")...))
	to.Histograms("broker_mesh_sql_seconds", "How long a statement took, with the wait for its turn", labels(statement),
		c.Queries.Took.Series(longest, "query"), c.Executes.Took.Series(longest, "execute"))
}

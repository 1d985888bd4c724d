package hop

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// log passes the plugin's log records on. The sdk keeps them to a budget; a
// plugin that does not is cut here.
func (h *Hop) log(records []*pluginpb.LogRecord) {
	if h.o.Log == nil || len(records) == 0 {
		return
	}
	now := time.Now()
	granted, before := h.logging.take(now, len(records))
	if before > 0 {
		h.o.Log.Warn("plugin logs too much", slog.Int("dropped", before))
	}
	for _, r := range records[:granted] {
		level := slog.Level(r.GetLevel())
		if !h.o.Log.Enabled(context.Background(), level) {
			continue
		}
		out := slog.NewRecord(time.Unix(0, r.GetTime()), level, clip(r.GetMessage(), maxErrorText), 0)
		var fields []slog.Attr // in a group, so that none can pass for one of ours
		for i, a := range r.GetAttributes() {
			if i == maxNotes {
				break
			}
			fields = append(fields, slog.String(clip(a.GetKey(), maxReason), clip(a.GetValue(), maxErrorText)))
		}
		if len(fields) > 0 {
			out.AddAttrs(slog.Attr{Key: "fields", Value: slog.GroupValue(fields...)})
		}
		out.AddAttrs(h.within(r, now)...)
		_ = h.o.Log.Handler().Handle(context.Background(), out)
	}
}

// within returns the ids by which a record joins the trace of the envelope that
// it is about, if the plugin was asked about that.
func (h *Hop) within(r *pluginpb.LogRecord, now time.Time) []slog.Attr {
	var id trace.TraceID
	var span trace.SpanID
	if len(r.GetTraceId()) != len(id) || len(r.GetSpanId()) != len(span) {
		return nil
	}
	copy(id[:], r.GetTraceId())
	copy(span[:], r.GetSpanId())
	if !h.recent.knows(id, now) {
		return nil
	}
	return []slog.Attr{slog.String("trace_id", id.String()), slog.String("span_id", span.String())}
}

// logsPerSecond is how many records of a plugin are kept.
const logsPerSecond = 200

// budget counts what was let through in this second. Safe for concurrent use: a
// process may still be heard when the next one is.
type budget struct {
	most int // in a second; never changed

	mu      sync.Mutex
	second  int64
	left    int
	dropped int
}

// take asks for n records, and returns how many may pass, and at the beginning
// of a second how many were dropped before.
func (b *budget) take(now time.Time, n int) (granted, dropped int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := now.Unix(); s != b.second {
		dropped = b.dropped
		b.second, b.left, b.dropped = s, b.most, 0
	}
	granted = min(n, b.left)
	b.left -= granted
	b.dropped += n - granted
	return granted, dropped
}

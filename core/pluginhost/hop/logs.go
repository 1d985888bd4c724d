package hop

import (
	"context"
	"log/slog"
	"time"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// log passes the plugin's log records on. The sdk keeps them to a budget; a
// plugin that does not is cut here.
func (h *Hop) log(records []*pluginpb.LogRecord) {
	if h.o.Log == nil || len(records) == 0 {
		return
	}
	granted, before := h.logging.take(time.Now(), len(records))
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
		_ = h.o.Log.Handler().Handle(context.Background(), out)
	}
}

// logsPerSecond is how many records of a plugin are kept.
const logsPerSecond = 200

// budget counts what was let through in this second. One goroutine uses it.
type budget struct {
	second  int64
	left    int
	dropped int
}

// take asks for n records, and returns how many may pass, and at the beginning
// of a second how many were dropped before.
func (b *budget) take(now time.Time, n int) (granted, dropped int) {
	if s := now.Unix(); s != b.second {
		dropped = b.dropped
		*b = budget{second: s, left: logsPerSecond}
	}
	granted = min(n, b.left)
	b.left -= granted
	b.dropped += n - granted
	return granted, dropped
}

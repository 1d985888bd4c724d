package hop

import (
	"context"
	"log/slog"
	"time"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// log passes the plugin's log records on. The sdk keeps them to a budget; one
// that does not is cut here.
func (h *Hop) log(records []*pluginpb.LogRecord) {
	if h.o.Log == nil || len(records) == 0 {
		return
	}
	dropped := max(len(records)-maxLogRecords, 0)
	for _, r := range records[:len(records)-dropped] {
		level := slog.Level(r.GetLevel())
		if !h.o.Log.Enabled(context.Background(), level) {
			continue
		}
		out := slog.NewRecord(time.Unix(0, r.GetTime()), level, clip(r.GetMessage(), maxErrorText), 0)
		for i, a := range r.GetAttributes() {
			if i == maxNotes {
				break
			}
			out.AddAttrs(slog.String(clip(a.GetKey(), maxReason), clip(a.GetValue(), maxErrorText)))
		}
		_ = h.o.Log.Handler().Handle(context.Background(), out)
	}
	if dropped > 0 {
		h.o.Log.Warn("plugin logs too much", slog.Int("dropped", dropped))
	}
}

// maxLogRecords is how many records of one frame are kept.
const maxLogRecords = 64

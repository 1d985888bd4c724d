package reload

import (
	"maps"
	"time"

	"github.com/claudemesh/broker/core/admin"
)

// Result is how a load ended; a metric label.
type Result string

// Results of a load.
const (
	Applied Result = "applied"
	Refused Result = "refused"
)

// Count is how often loads ended one way.
type Count struct {
	By     admin.Trigger
	Result Result
}

// history is what became of the loads so far. Guarded by Reloader.mu.
type history struct {
	loaded admin.Loaded
	last   time.Time // the newest load, whatever became of it
	counts map[Count]int64
}

// newHistory begins with generation 1, which was loaded at the start.
func newHistory(sum string) history {
	h := history{counts: map[Count]int64{}}
	for _, by := range []admin.Trigger{admin.BySignal, admin.ByFile, admin.ByCommand} {
		h.counts[Count{by, Applied}], h.counts[Count{by, Refused}] = 0, 0
	}
	h.last = now()
	h.loaded = admin.Loaded{Generation: 1, At: h.last, By: admin.ByStart, SHA256: sum}
	return h
}

func (h *history) applied(by admin.Trigger, sum string) uint64 {
	h.last = now()
	h.loaded = admin.Loaded{Generation: h.loaded.Generation + 1, At: h.last, By: by, SHA256: sum}
	h.counts[Count{by, Applied}]++
	return h.loaded.Generation
}

// refused returns the generation that goes on.
func (h *history) refused(by admin.Trigger, text string) uint64 {
	h.last = now()
	h.loaded.LastError = &admin.LoadError{At: h.last, By: by, Text: text}
	h.counts[Count{by, Refused}]++
	return h.loaded.Generation
}

func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// Loaded returns what the chain that runs was made of, and what went wrong
// since.
func (r *Reloader) Loaded() admin.Loaded {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.history.loaded
}

// Numbers are what the metrics say of reloads.
type Numbers struct {
	Generation uint64
	Successful bool      // the newest load, the one at the start included
	Last       time.Time // when that was
	Counts     map[Count]int64
}

// Numbers returns what to report. The caller owns the map.
func (r *Reloader) Numbers() Numbers {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := &r.history
	return Numbers{h.loaded.Generation, h.loaded.LastError == nil, h.last, maps.Clone(h.counts)}
}

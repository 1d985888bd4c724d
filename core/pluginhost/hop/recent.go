package hop

import (
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// recent are the traces that a plugin was asked about lately, and the spans that
// it was told as parents. A plugin adds spans to no other trace: ids are random,
// so it has to have been told one. All methods may be called concurrently.
type recent struct {
	mu     sync.Mutex
	now    map[place]struct{}
	before map[place]struct{}
	since  time.Time // when now began
}

// place is a span in its trace, or with the zero span the trace.
type place struct {
	trace trace.TraceID
	span  trace.SpanID
}

const (
	recentFor  = time.Minute // a place is known for this long, and at most twice as long
	mostRecent = 16384       // of these, two for an envelope; beyond them the oldest are forgotten sooner
)

func (r *recent) add(c trace.SpanContext, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	if len(r.now)+2 > mostRecent {
		r.before, r.now, r.since = r.now, nil, now
	}
	if r.now == nil {
		r.now = make(map[place]struct{})
	}
	r.now[place{trace: c.TraceID()}] = struct{}{}
	r.now[place{c.TraceID(), c.SpanID()}] = struct{}{}
}

// knows reports whether the plugin was asked about a trace.
func (r *recent) knows(id trace.TraceID, now time.Time) bool { return r.has(place{trace: id}, now) }

// told reports whether the plugin was told a span as a parent.
func (r *recent) told(id trace.TraceID, span trace.SpanID, now time.Time) bool {
	return r.has(place{id, span}, now)
}

func (r *recent) has(p place, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	_, known := r.now[p]
	if !known {
		_, known = r.before[p]
	}
	return known
}

// turn forgets what is too old.
func (r *recent) turn(now time.Time) {
	switch age := now.Sub(r.since); {
	case age >= 2*recentFor:
		r.before, r.now, r.since = nil, nil, now
	case age >= recentFor:
		r.before, r.now, r.since = r.now, nil, now
	}
}

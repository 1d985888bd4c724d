package chain

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// DefaultTiming is how many walks there are to one that is timed. Reading the
// clock around six stages costs about as much as the stages.
const DefaultTiming = 64

// Probes gives the walks that are watched a probe, and all others nil. It is asked
// once per envelope, so it must decide from what is at hand (the trace flag,
// the connection) and without waiting.
type Probes func(ctx context.Context, env *sdk.Envelope) Probe

// Probe watches one walk, on the goroutine that walks.
type Probe interface {
	// Enter is called before a stage; the stage gets the context that it
	// returns, so a probe can open a span around it. The fallback of a stage that
	// failed is a stage of its own here: it comes when that one has been left, and
	// with the context of the walk.
	Enter(ctx context.Context, l *Link) context.Context

	// Leave is called after the stage, with the same context, what the stage
	// itself answered, and how long that took. The link's failure policy has
	// not been applied yet.
	Leave(ctx context.Context, l *Link, d sdk.Decision, err error, took time.Duration)
}

// watch is what one walk pays for beyond the decisions.
type watch struct {
	timed bool
	probe Probe
}

func (c *Chain) watch(ctx context.Context, env *sdk.Envelope) watch {
	if c.probes != nil {
		if p := c.probes(ctx, env); p != nil {
			return watch{timed: true, probe: p}
		}
	}
	return watch{timed: c.every > 0 && rand.Uint32N(c.every) == 0}
}

// watched is call with the clock read around it.
func (l *Link) watched(ctx context.Context, env *sdk.Envelope, w watch, d *sdk.Decision) error {
	if w.probe != nil {
		ctx = w.probe.Enter(ctx, l)
	}
	*d = sdk.Decision{} // not what the stage before left there
	start := time.Now()
	err := l.call(ctx, env, d)
	took := time.Since(start)
	l.meter.seconds.observe(took)
	if w.probe != nil {
		w.probe.Leave(ctx, l, *d, err, took)
	}
	return err
}

// shards is the number of copies of each counter. Connections are spread over
// them, so that two cores seldom write the same cache line. A power of two.
const shards = 8

// counts are the decisions on one link about one kind.
type counts struct {
	shard [shards]struct {
		verdict [8]atomic.Uint64 // by sdk.Verdict; 64 bytes, a cache line
	}
}

func (c *counts) add(conn uint64, v sdk.Verdict) {
	c.shard[conn%shards].verdict[v&7].Add(1)
}

func (c *counts) load(v sdk.Verdict) (n uint64) {
	for i := range c.shard {
		n += c.shard[i].verdict[v&7].Load()
	}
	return n
}

// bounds are the upper edges of the time histogram: from a built-in stage (tens
// of nanoseconds) to the deadlines of slow plugins, which may be a minute.
var bounds = [...]time.Duration{
	100, 250, 500,
	1 * time.Microsecond, 2500, 5 * time.Microsecond,
	10 * time.Microsecond, 25 * time.Microsecond, 50 * time.Microsecond,
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	1 * time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	1 * time.Second, 2500 * time.Millisecond, 5 * time.Second,
	10 * time.Second, 30 * time.Second,
}

type histogram struct {
	bucket [len(bounds) + 1]atomic.Uint64 // the last one is for what is longer
	sum    atomic.Int64                   // nanoseconds
}

func (h *histogram) observe(d time.Duration) {
	i := 0
	for i < len(bounds) && d > bounds[i] {
		i++
	}
	h.bucket[i].Add(1)
	h.sum.Add(int64(d))
}

// meter counts for one link.
type meter struct {
	failures        [numFailures]atomic.Uint64
	applied         [2 * numApplied]atomic.Uint64 // policies; the second half after a hold
	expected        [2 * numApplied]atomic.Bool   // of these, the links' own: they are told before they are applied
	fallbackDecided atomic.Uint64
	fallbackFailed  atomic.Uint64
	seconds         histogram
	shadow          shadowCounts

	mu     sync.Mutex
	byKind map[sdk.Kind]*counts
}

// of returns the counters for a kind, which it makes when they are new.
func (m *meter) of(kind sdk.Kind) *counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.byKind[kind]
	if c == nil {
		c = new(counts)
		m.byKind[kind] = c
	}
	return c
}

// meters outlive reloads: a link of the same name goes on counting where the
// one before it stopped, so no counter ever falls.
type meters struct {
	mu     sync.Mutex
	byLink map[string]*meter
	order  []string // as first seen
}

func newMeters() *meters { return &meters{byLink: make(map[string]*meter)} }

func (ms *meters) of(link string) *meter {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	m := ms.byLink[link]
	if m == nil {
		m = &meter{byKind: make(map[sdk.Kind]*counts)}
		ms.byLink[link] = m
		ms.order = append(ms.order, link)
	}
	return m
}

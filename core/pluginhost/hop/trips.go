package hop

import (
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// trips are the breakers of requests. A breaker spares those who would wait for a
// plugin that does not answer, and here who asks chooses what it takes to answer:
// so a mesh that misses deadlines shuts itself out and no other, and within a mesh
// it takes several members. What many requests at once cost the plugin is bounded
// by the places that a mesh and a member have.
type trips struct {
	o Options

	mu sync.Mutex
	of map[string]*trip // by mesh; those with failures that still count, and a few older ones
}

// trip is the breaker of a mesh.
type trip struct {
	two     *twoStep
	counted time.Duration
	misses  atomic.Int64 // members in a row, at most one miss of each

	mu     sync.Mutex
	missed map[string]time.Time // by member: when a miss of its own was counted
	last   time.Time            // of them
	good   time.Time            // the last answer
}

func newTrips(o Options) *trips { return &trips{o: o, of: map[string]*trip{}} }

// allow asks for one request of a member. report tells how it ended.
func (t *trips) allow(mesh, member string) (report func(error), ok bool) {
	at := t.find(mesh)
	if at == nil { // none of the mesh has failed lately
		return func(err error) {
			if err != nil && !errors.Is(err, errLost) {
				t.missed(mesh, member, err)
			}
		}, true
	}
	tell, err := at.two.Allow()
	if err != nil {
		return nil, false
	}
	return func(err error) { tell(at.judge(member, err, time.Now())) }, true
}

func (t *trips) find(mesh string) *trip {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.of[mesh]
}

// missed counts a failure of a mesh that had no breaker when it was asked.
func (t *trips) missed(mesh, member string, err error) {
	now := time.Now()
	at := t.obtain(mesh, now)
	if tell, closed := at.two.Allow(); closed == nil {
		tell(at.judge(member, err, now))
	}
}

// obtain returns the breaker of a mesh. Whoever needs a new one takes away those
// that have nothing to say any more.
func (t *trips) obtain(mesh string, now time.Time) *trip {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.of[mesh]
	if at == nil {
		maps.DeleteFunc(t.of, func(_ string, old *trip) bool { return old.idle(now) })
		at = &trip{counted: t.o.counted(), missed: map[string]time.Time{}, last: now}
		at.two = newTwoStep(t.o, &at.misses)
		t.of[mesh] = at
	}
	return at
}

func (t *trip) idle(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return now.Sub(t.last) > t.counted && t.two.State() == gobreaker.StateClosed
}

// judge returns what the breaker is told of a request. A member's failure counts
// once in a while, however many it brings about; a probe counts always.
func (t *trip) judge(member string, err error, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.good = now
		t.misses.Store(0)
	}
	if err == nil || errors.Is(err, errLost) || t.two.State() == gobreaker.StateHalfOpen {
		return err
	}
	if at, again := t.missed[member]; again && now.Sub(at) <= t.counted {
		return errLost
	}
	maps.DeleteFunc(t.missed, func(_ string, at time.Time) bool { return now.Sub(at) > t.counted })
	t.missed[member], t.last = now, now
	row := int64(0)
	for _, at := range t.missed {
		if at.After(t.good) {
			row++
		}
	}
	t.misses.Store(row)
	return err
}

// state returns the worst of all: closed, half-open or open.
func (t *trips) state() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	worst := gobreaker.StateClosed
	for _, at := range t.of {
		worst = max(worst, at.two.State())
	}
	return worst.String()
}

// Package table knows who on this node listens to which subject.
package table

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Table is the list of a bus's subscriptions. All methods may be called
// concurrently, but Deliver and Lost are called by one goroutine, the one that
// runs the subscribers' functions.
type Table struct {
	received atomic.Uint64
	lost     atomic.Uint64

	mu       sync.RWMutex // guards all below
	subjects map[string][]*listener
	onLost   func()
}

// listener is one subscription. Its address tells it from others of the same
// subject.
type listener struct{ f func([]byte) }

// Add enters a subscription. cancel takes it out; only its first call does.
func (t *Table) Add(subject string, f func([]byte)) (cancel func()) {
	l := &listener{f}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.subjects == nil {
		t.subjects = map[string][]*listener{}
	}
	// Deliver reads the old list without the lock, so it is never changed.
	t.subjects[subject] = append(slices.Clip(t.subjects[subject]), l)
	return func() { t.remove(subject, l) }
}

func (t *Table) remove(subject string, l *listener) {
	t.mu.Lock()
	defer t.mu.Unlock()
	rest := make([]*listener, 0, len(t.subjects[subject]))
	for _, other := range t.subjects[subject] {
		if other != l {
			rest = append(rest, other)
		}
	}
	if len(rest) == 0 {
		delete(t.subjects, subject)
		return
	}
	t.subjects[subject] = rest
}

// Has reports whether anybody listens to the subject.
func (t *Table) Has(subject string) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.subjects[subject]) > 0
}

// Deliver calls everyone who listens to the subject.
func (t *Table) Deliver(subject string, data []byte) {
	t.mu.RLock()
	listeners := t.subjects[subject]
	t.mu.RUnlock()
	if len(listeners) == 0 {
		return
	}
	t.received.Add(1)
	for _, l := range listeners {
		l.f(data)
	}
}

// SetLost sets what Lost calls.
func (t *Table) SetLost(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.onLost = f
}

// Lost tells that messages may have been lost.
func (t *Table) Lost() {
	t.lost.Add(1)
	t.mu.RLock()
	f := t.onLost
	t.mu.RUnlock()
	if f != nil {
		f()
	}
}

// Counts returns how many messages had a listener, and how often Lost was
// called.
func (t *Table) Counts() (received, lost uint64) { return t.received.Load(), t.lost.Load() }

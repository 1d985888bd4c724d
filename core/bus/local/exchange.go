package local

import (
	"slices"
	"sync"
)

// Exchange connects buses of one process, so that a test can run several
// brokers that see each other, and part them. All methods may be called
// concurrently.
type Exchange struct {
	mu    sync.Mutex // guards all below; taken before a bus's own
	buses []*Bus
	drop  func(subject string, data []byte) bool
}

// NewExchange returns an exchange that nobody has joined.
func NewExchange() *Exchange { return &Exchange{} }

// Join returns the bus of a new node. Its owner closes it.
func (e *Exchange) Join() *Bus {
	b := newBus(e)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.buses = append(e.buses, b)
	return b
}

// DropIf makes the exchange lose each message of which lose says so, and tell
// nobody: the worst that a bus may do. lose must not call the exchange. Nil ends
// it.
func (e *Exchange) DropIf(lose func(subject string, data []byte) bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.drop = lose
}

func (e *Exchange) leave(b *Bus) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.buses = slices.DeleteFunc(e.buses, func(other *Bus) bool { return other == b })
}

// pass hands a message of one bus to all others. The lock is held over all of
// them, so that everyone gets the messages of one node in the same order.
func (e *Exchange) pass(from *Bus, subject string, data []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !from.countPublished(subject, data) || len(e.buses) < 2 {
		return
	}
	if e.drop != nil && e.drop(subject, data) {
		return
	}
	data = slices.Clone(data)
	for _, b := range e.buses {
		if b != from {
			b.put(message{subject, data})
		}
	}
}

// mend connects a bus again. Everyone has missed something: it, what the others
// said, and they, what it said.
func (e *Exchange) mend(b *Bus) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !b.setCut(false) {
		return
	}
	for _, other := range e.buses {
		other.putLost()
	}
}

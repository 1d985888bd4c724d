// Package local is the bus of a single process. There is no other node, so what
// is published goes nowhere; only tests connect several, by an [Exchange].
package local

import (
	"context"
	"sync"

	"github.com/claudemesh/broker/core/bus"
	"github.com/claudemesh/broker/core/bus/internal/table"
)

// maxWaiting is how many messages may wait for this node's subscribers. It is
// what the other buses hold too.
const maxWaiting = 10_000

var _ bus.Bus = (*Bus)(nil)

type message struct {
	subject string
	data    []byte
}

// Bus is one node's bus.
type Bus struct {
	// Set by newBus, never changed.
	exchange *Exchange
	wake     chan struct{} // has a value when something waits
	done     chan struct{} // closed when the dispatcher has ended
	table    table.Table

	mu        sync.Mutex // guards all below
	waiting   []message
	lost      bool // something was lost before what waits
	cut       bool
	closed    bool
	published uint64
	dropped   uint64
}

// New returns the bus of a process that has no other beside it.
func New() *Bus { return NewExchange().Join() }

func newBus(e *Exchange) *Bus {
	b := &Bus{exchange: e, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go b.dispatch()
	return b
}

// Publish implements [bus.Bus].
func (b *Bus) Publish(subject string, data []byte) { b.exchange.pass(b, subject, data) }

// Subscribe implements [bus.Bus].
func (b *Bus) Subscribe(subject string, f func(data []byte)) (cancel func()) {
	return b.table.Add(subject, f)
}

// OnLost implements [bus.Bus].
func (b *Bus) OnLost(f func()) { b.table.SetLost(f) }

// Up implements [bus.Bus].
func (b *Bus) Up() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.cut && !b.closed
}

// Stats implements [bus.Bus].
func (b *Bus) Stats() bus.Stats {
	received, lost := b.table.Counts()
	b.mu.Lock()
	defer b.mu.Unlock()
	return bus.Stats{Published: b.published, Dropped: b.dropped, Received: received, Lost: lost}
}

// Close implements [bus.Bus].
func (b *Bus) Close(ctx context.Context) error {
	b.exchange.leave(b)
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.poke()
	select {
	case <-b.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Cut parts the bus from the others until Mend, as if its server were away.
func (b *Bus) Cut() { b.setCut(true) }

// Mend ends what Cut began. The bus and all others learn that messages were
// lost.
func (b *Bus) Mend() { b.exchange.mend(b) }

// setCut reports whether it changed anything.
func (b *Bus) setCut(cut bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	changed := b.cut != cut
	b.cut = cut
	return changed
}

// countPublished reports whether the message may go to the others.
func (b *Bus) countPublished(subject string, data []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cut || b.closed || len(data) > bus.MaxPayload || !bus.ValidSubject(subject) {
		b.dropped++
		return false
	}
	b.published++
	return true
}

func (b *Bus) put(m message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.cut || b.closed:
		return
	case len(b.waiting) == maxWaiting:
		b.lost = true
	default:
		b.waiting = append(b.waiting, m)
	}
	b.poke()
}

func (b *Bus) putLost() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cut || b.closed {
		return // it learns when it is mended
	}
	b.lost = true
	b.poke()
}

func (b *Bus) poke() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// dispatch calls the subscribers until the bus is closed.
func (b *Bus) dispatch() {
	defer close(b.done)
	for range b.wake {
		for {
			waiting, lost, closed := b.take()
			if closed {
				return
			}
			if len(waiting) == 0 && !lost {
				break
			}
			b.deliver(waiting, lost)
		}
	}
}

func (b *Bus) take() (waiting []message, lost, closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	waiting, lost = b.waiting, b.lost
	b.waiting, b.lost = nil, false
	return waiting, lost, b.closed
}

func (b *Bus) deliver(waiting []message, lost bool) {
	if lost {
		b.table.Lost()
	}
	for _, m := range waiting {
		b.table.Deliver(m.subject, m.data)
	}
}

// Package outbox is where messages wait for a bus that sends them, so that who
// publishes never waits.
package outbox

import (
	"sync"

	"github.com/claudemesh/broker/core/bus"
)

// What waits is bounded; what comes beyond is dropped, since the newest hint is
// no truer than the oldest, and the order stays.
const (
	maxMessages = 10_000
	maxBytes    = 4 << 20 // of subjects and data
	keepBytes   = 1 << 20 // the largest buffer that is used again
)

// Message is one message that waits.
type Message struct {
	Subject string
	Data    []byte
}

// Batch is what waited. Its messages are good until it is given to Take again.
type Batch struct {
	Messages []Message
	Dropped  bool // some message was dropped since the last Take

	data []byte // what the messages' Data point into
}

// Outbox is a bounded list of messages with many writers and one reader. It is
// made by [New], and closed to begin with.
type Outbox struct {
	// Wake has a value when there is something to take.
	Wake chan struct{}

	mu        sync.Mutex // guards all below
	open      bool
	waiting   Batch
	bytes     int
	published uint64
	dropped   uint64
}

// New returns an outbox that drops everything until it is opened.
func New() *Outbox { return &Outbox{Wake: make(chan struct{}, 1)} }

// Put copies a message into the outbox, or drops it.
func (o *Outbox) Put(subject string, data []byte) {
	valid := len(data) <= bus.MaxPayload && bus.ValidSubject(subject)
	size := len(subject) + len(data)
	o.mu.Lock()
	defer o.mu.Unlock()
	if !valid || !o.open || o.bytes+size > maxBytes || len(o.waiting.Messages) == maxMessages {
		o.dropped++
		o.waiting.Dropped = true
		return
	}
	o.published++
	o.bytes += size
	w := &o.waiting
	start := len(w.data)
	w.data = append(w.data, data...) // earlier messages keep the buffer that this one outgrows
	w.Messages = append(w.Messages, Message{subject, w.data[start:len(w.data):len(w.data)]})
	o.wake()
}

func (o *Outbox) wake() {
	select {
	case o.Wake <- struct{}{}:
	default:
	}
}

// Take moves what waits into b, whose former content is over.
func (o *Outbox) Take(b *Batch) {
	clear(b.Messages)
	b.Messages, b.Dropped = b.Messages[:0], false
	b.data = b.data[:0]
	if cap(b.data) > keepBytes {
		b.data = nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	*b, o.waiting = o.waiting, *b
	o.bytes = 0
}

// Open lets messages in.
func (o *Outbox) Open() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open = true
	o.wake() // who could not send has something to tell
}

// Shut keeps messages out and drops those that wait. The next Batch tells that
// something was lost, even if there was nothing: what was on its way when the
// connection broke may not have arrived.
func (o *Outbox) Shut() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open = false
	o.dropped += uint64(len(o.waiting.Messages))
	clear(o.waiting.Messages)
	o.waiting.Messages = o.waiting.Messages[:0]
	o.waiting.data = nil
	o.waiting.Dropped = true
	o.bytes = 0
}

// Seal keeps messages out and leaves those that wait to be taken.
func (o *Outbox) Seal() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open = false
}

// Drop counts messages that were taken and not sent.
func (o *Outbox) Drop(messages int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dropped += uint64(messages)
	o.waiting.Dropped = true
}

// Counts returns how many messages were taken in, and how many were dropped,
// before or after.
func (o *Outbox) Counts() (published, dropped uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.published, o.dropped
}

package main

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/wire"
)

// ledger is what senders were promised and what recipients got.
type ledger struct {
	t *testing.T

	mu       sync.Mutex
	begun    map[string]time.Time // when a text was sent first
	acks     map[string]ack       // by text
	arrived  map[string]bool      // text and id
	arrivals []arrival            // in the order of this process's eyes
	ends     []*end               // connections of recipients
	sending  int                  // connections of senders
	counts   counts
}

// counts are the numbers of a run.
type counts struct {
	acked, arrived int
	repeated       int // arrivals of the same text and id
	seconds        int // arrivals of a text under an id that was not acknowledged
	overtook       int // first arrivals before one that was acknowledged earlier, on another connection
	refused        int // sends that were refused as unavailable
	lost           int // connections that ended before their owner wanted
}

// ack is a promise.
type ack struct {
	id     string
	sender int
	number int
	first  bool // at the first attempt
	conn   int  // of the sender
	place  int  // of the attempt on that connection
}

// arrival is one push.
type arrival struct {
	text, id string
	end      *end
}

// end is a recipient's connection.
type end struct {
	recipient int
	replica   int
	left      bool // its owner has gone elsewhere without closing it
}

func newLedger(t *testing.T) *ledger {
	return &ledger{t: t, begun: map[string]time.Time{}, acks: map[string]ack{}, arrived: map[string]bool{}}
}

// connected begins a recipient's connection.
func (l *ledger) connected(recipient, replica int) *end {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &end{recipient: recipient, replica: replica}
	l.ends = append(l.ends, e)
	return e
}

// sends begins a sender's connection.
func (l *ledger) sends() (conn int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sending++
	return l.sending
}

// begins notes that a text is about to be sent for the first time.
func (l *ledger) begins(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun[text] = time.Now()
}

// takeAck notes a promise. A message has one id, however often it is promised.
func (l *ledger) takeAck(text string, a ack) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, twice := l.acks[text]
	switch {
	case !twice:
		l.acks[text] = a
		l.counts.acked++
	case before.id != a.id:
		l.t.Errorf("%s was acknowledged as %s and as %s", text, before.id, a.id)
	}
}

// takePush notes an arrival.
func (l *ledger) takePush(e *end, push *wire.Push) {
	if push.Event != "" {
		return
	}
	text, id := push.Ciphertext, push.MessageID
	if push.ClientMessageID != text {
		l.t.Errorf("%q came with the client_message_id %q", text, push.ClientMessageID)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.arrived[text+id] {
		l.counts.repeated++
	}
	l.arrived[text+id] = true
	l.arrivals = append(l.arrivals, arrival{text, id, e})
}

func (l *ledger) refusal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts.refused++
}

func (l *ledger) loss() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts.lost++
}

// numbers returns the counts so far.
func (l *ledger) numbers() counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}

// pushesOf counts the arrivals from one replica.
func (l *ledger) pushesOf(replica int) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.arrivals {
		if a.end.replica == replica && !a.end.left {
			n++
		}
	}
	return n
}

// pushedLate returns the messages that were sent after a time and arrived on a
// connection that its owner had left.
func (l *ledger) pushedLate(since time.Time) (texts []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.arrivals {
		if a.end.left && l.begun[a.text].After(since) {
			texts = append(texts, a.text)
		}
	}
	return texts
}

// missing returns acknowledged messages that have not arrived, some of them.
func (l *ledger) missing() (list []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for text, a := range l.acks {
		if !l.arrived[text+a.id] {
			if list = append(list, text+" as "+a.id); len(list) == 10 {
				return list
			}
		}
	}
	return list
}

// check looks at everything once more and fills in the counts that only the
// end shows.
func (l *ledger) check() counts {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.acks) == 0 {
		l.t.Error("nothing was acknowledged")
	}
	seen := map[string]*end{} // where a text arrived first
	lasts := map[string]ack{} // by recipient's connection and sender's
	tops := map[string]int{}  // by recipient's connection and sender
	for _, a := range l.arrivals {
		promise, acked := l.acks[a.text]
		if acked && promise.id != a.id {
			l.counts.seconds++
			continue
		}
		if seen[a.text] != nil {
			continue
		}
		seen[a.text] = a.end
		l.counts.arrived++
		if !promise.first {
			continue // a resent message may come behind later ones
		}
		l.inOrder(a, promise, lasts, tops)
	}
	return l.counts
}

// inOrder holds that messages of one sender's connection that were accepted
// when they were sent first come in that order on one recipient's connection.
func (l *ledger) inOrder(a arrival, promise ack, lasts map[string]ack, tops map[string]int) {
	l.t.Helper()
	pair := fmt.Sprintf("%p %d", a.end, promise.conn)
	if last, ok := lasts[pair]; ok && last.place > promise.place {
		l.t.Errorf("%s came behind number %d of the same connection", a.text, last.number)
	}
	lasts[pair] = promise
	whole := fmt.Sprintf("%p from %d", a.end, promise.sender)
	if promise.number < tops[whole] {
		l.counts.overtook++
	}
	tops[whole] = max(tops[whole], promise.number)
}

package webhookaudit

import (
	"crypto/rand"
	"strconv"
)

// longestBatch is the most bytes of events in one batch, so that it passes the
// limits of usual receivers.
const longestBatch = 1 << 20

// idLength is the length of a batch's id.
const idLength = 26

// batch is some events as they are posted, the same bytes in every attempt.
type batch struct {
	id     string
	events int
	told   uint64 // lost events that the body tells of
	body   []byte

	segment uint64 // where it is in the spill
	offset  int64
}

// gone is what a queue dropped.
type gone struct {
	events int
	told   uint64 // lost events that nobody was told of for it
}

func (g *gone) add(more gone) {
	g.events += more.events
	g.told += more.told
}

func (b *batch) counts() gone { return gone{b.events, b.told} }

// newBatch makes a batch with an id of its own.
func newBatch(events [][]byte, lost uint64) batch {
	b := batch{id: rand.Text(), events: len(events), told: lost}
	size := 0
	for _, e := range events {
		size += len(e) + 1
	}
	b.body = make([]byte, 0, size+100)
	b.body = append(b.body, `{"id":"`...)
	b.body = append(b.body, b.id...)
	b.body = append(b.body, `","version":1,"lost":`...)
	b.body = strconv.AppendUint(b.body, lost, 10)
	b.body = append(b.body, `,"events":[`...)
	for i, e := range events {
		if i > 0 {
			b.body = append(b.body, ',')
		}
		b.body = append(b.body, e...)
	}
	b.body = append(b.body, `]}`...)
	return b
}

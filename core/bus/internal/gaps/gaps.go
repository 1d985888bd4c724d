// Package gaps finds out that something of another node did not arrive, by the
// numbers that each node gives to what it sends.
package gaps

import "math/rand/v2"

// maxSenders bounds what is remembered. Beyond it everything is forgotten,
// which costs a false alarm per sender.
const maxSenders = 1024

// Sender numbers what one bus sends. The numbers begin at 1, and leave one out
// where something was lost on the way out.
type Sender struct {
	ID     uint64 // random: a node that starts again is another sender
	number uint64
}

// NewSender returns a sender with a fresh id.
func NewSender() *Sender { return &Sender{ID: rand.Uint64()} }

// Next returns the number of what is sent next.
func (s *Sender) Next() uint64 { s.number++; return s.number }

// Skip makes everyone who listens find a gap before what is sent next.
func (s *Sender) Skip() { s.number++ }

// Seen remembers the last number of each sender. The zero value is ready.
type Seen struct{ last map[uint64]uint64 }

// Gap takes note of a number that has arrived and reports whether one before it
// has not. The first number of a sender that is new here is expected to be 1:
// who starts to listen late has missed what came before.
func (s *Seen) Gap(sender, number uint64) bool {
	if s.last == nil || len(s.last) >= maxSenders {
		s.last = map[uint64]uint64{}
	}
	gap := number != s.last[sender]+1
	s.last[sender] = number
	return gap
}

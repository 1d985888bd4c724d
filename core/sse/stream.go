package sse

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/wire"
)

const (
	// keptBytes is how much a stream keeps of what is not confirmed. Beyond it the
	// store keeps the rest.
	keptBytes = 4 << 20

	// enoughBytes is at how much of that an answer ends, so that its caller comes
	// back and confirms.
	enoughBytes = keptBytes / 2

	// newsBytes is how much news waits for a slow reader. More is lost to it, as it
	// is to a slow socket.
	newsBytes = 256 << 10
)

// Ends of an answer that leave the stream as it is.
const (
	reasonResume   = "resume"   // come back with the last id
	reasonReplaced = "replaced" // another answer has taken the stream over
)

// reasonCredential ends the session of a caller that is proved no more.
const reasonCredential = "credential"

// Stream is a session's connection. It implements the connection that sessions
// have, and may be used by many goroutines at once.
type Stream struct {
	id    string
	local bool // its caller is on this machine

	mu     sync.Mutex
	number uint64        // of the last push
	first  uint64        // of kept[0]
	kept   [][]byte      // pushes that no id has confirmed
	bytes  int           // of these
	wrote  uint64        // number of the last push that was written to the answer
	news   [][]byte      // frames that need no confirmation
	newsN  int           // bytes of these
	lost   *atomic.Int64 // counts news that there was no room for; nil counts nothing
	closed *Closed       // set when the stream is over
	seen   time.Time     // when something was written
	turn   uint64        // of the answer that it is written to
	wake   chan struct{} // one signal: there is something to write
}

// Closed says how a stream, or an answer, ended.
type Closed struct {
	Code   int    `json:"code" doc:"WebSocket close code of the same end; 0 for the end of an answer alone"`
	Reason string `json:"reason" doc:"why, in a word"`
}

// NewStream returns a stream that nothing was pushed to.
func NewStream(local bool, now time.Time) *Stream {
	return &Stream{id: identity.NewID()[:16], local: local, first: 1, seen: now, wake: make(chan struct{}, 1)}
}

// Push implements [presence.Conn].
func (s *Stream) Push(frame []byte) (number uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed != nil || s.fullLocked(len(frame)) {
		return 0, false
	}
	s.number++
	s.kept = append(s.kept, frame)
	s.bytes += len(frame)
	s.signal()
	return s.number, true
}

// Full implements [presence.Conn].
func (s *Stream) Full(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fullLocked(n)
}

// fullLocked says yes to what is too large for an empty stream, too.
func (s *Stream) fullLocked(n int) bool { return s.bytes > 0 && s.bytes+n > keptBytes }

// Send implements [presence.Conn].
func (s *Stream) Send(frame []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed != nil {
		return false
	}
	if s.newsN+len(frame) > newsBytes {
		if s.lost != nil {
			s.lost.Add(1)
		}
		return false
	}
	s.news, s.newsN = append(s.news, frame), s.newsN+len(frame)
	s.signal()
	return true
}

// count says where news is counted that there is no room for.
func (s *Stream) count(lost *atomic.Int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = lost
}

// CloseWith implements [presence.Conn].
func (s *Stream) CloseWith(code int, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed == nil {
		s.closed = &Closed{code, reason}
	}
	s.signal()
}

// LastSeen implements [presence.Conn].
func (s *Stream) LastSeen() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

// ID and Local are for those who look at the connection behind a request. A stream
// has no number among sockets.
func (s *Stream) ID() uint64 { return 0 }

// Local reports whether the caller is on this machine.
func (s *Stream) Local() bool { return s.local }

var _ presence.Conn = (*Stream)(nil)

func (s *Stream) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// eventID names a push on a stream.
func (s *Stream) eventID(number uint64) string { return s.id + "-" + strconv.FormatUint(number, 10) }

// numberOf returns the push that an event id names; false when it is another
// stream's, or none that this one has written.
func (s *Stream) numberOf(eventID string) (uint64, bool) {
	text, ok := strings.CutPrefix(eventID, s.id+"-")
	n, err := strconv.ParseUint(text, 10, 64)
	s.mu.Lock()
	defer s.mu.Unlock()
	return n, ok && err == nil && n <= s.wrote
}

// confirm forgets the pushes up to a number, and goes back to the one behind it.
func (s *Stream) confirm(number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.kept) > 0 && s.first <= number {
		s.bytes -= len(s.kept[0])
		s.kept[0] = nil
		s.kept, s.first = s.kept[1:], s.first+1
	}
	s.wrote = s.first - 1
}

// take makes the answer that asks the one that the stream is written to.
func (s *Stream) take() (turn uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn++
	s.signal()
	return s.turn
}

// current reports whether the stream is still written to the answer with a turn.
func (s *Stream) current(turn uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.turn == turn
}

// batch is what is to be written now.
type batch struct {
	events []event
	end    *Closed // of the answer, behind the events
	over   bool    // the stream is over, too
}

type event struct {
	id, name string
	data     []byte
}

// next returns what the answer with a turn has to write, possibly nothing yet.
func (s *Stream) next(turn uint64) (b batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turn != turn {
		b.end = &Closed{Reason: reasonReplaced}
		s.signal() // it was the other's
		return b
	}
	for _, frame := range s.news {
		b.events = append(b.events, event{name: "news", data: frame})
	}
	s.news, s.newsN = nil, 0
	for ; s.wrote < s.number; s.wrote++ {
		b.events = append(b.events, event{id: s.eventID(s.wrote + 1), name: "message", data: s.kept[s.wrote+1-s.first]})
	}
	switch {
	case s.closed != nil:
		b.end, b.over = s.closed, true
	case s.bytes > enoughBytes:
		b.end = &Closed{Reason: reasonResume}
	}
	return b
}

// written notes that the caller takes what is written.
func (s *Stream) written(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = now
}

// shut is how streams end when their node does.
func (s *Stream) shut() { s.CloseWith(int(wire.CloseShuttingDown.Code), wire.CloseShuttingDown.Reason) }

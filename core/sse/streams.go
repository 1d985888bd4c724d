package sse

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/core/presence"
)

// PerMember is how many streams a member may have on one node, those that wait for
// their caller too.
const PerMember = 16

// Why there is no place for a stream.
var (
	ErrFull    = errors.New("the member has as many event streams as it may")
	ErrStopped = errors.New("the node is stopping")
)

// Place says whose stream it is: there is one of each name.
type Place struct{ Mesh, MemberID, Name string }

// Directory is where sessions leave.
type Directory interface {
	Leave(s *presence.Session, c presence.Conn, goodbye bool) (last presence.View, over bool)
}

// Options are what streams need to know.
type Options struct {
	Directory Directory
	Left      func(last presence.View) // called when a session ended with its stream
	Lasts     time.Duration            // how long one answer is written
	Beat      time.Duration            // between signs of life
	Held      time.Duration            // how long a stream waits for its caller
	WriteBy   time.Duration            // how long a write may take
}

// DefaultOptions are those of a broker: proxies give up behind a minute without a
// byte, and an answer ends before anybody wonders whether it is alive.
func DefaultOptions() Options {
	return Options{Lasts: 10 * time.Minute, Beat: 15 * time.Second, Held: 30 * time.Second, WriteBy: 10 * time.Second}
}

// Streams are the streams of this node. Methods may be called concurrently.
type Streams struct {
	options  Options
	Counters Counters

	mu      sync.Mutex
	all     map[Place]*held
	members map[string]int // streams of each member, and those that are about to begin
	stopped bool
}

// Counters count what became of streams since the start.
type Counters struct {
	Begun   atomic.Int64 // streams
	Resumed atomic.Int64 // answers that go on with a stream
	Slow    atomic.Int64 // answers that ended because their caller did not read
	Lost    atomic.Int64 // news that a stream had no room for
}

// held is a stream with its session.
type held struct {
	*Stream
	place   Place
	session *presence.Session
	timer   *time.Timer // runs while no answer is written
	writing uint64      // turn of the answer that was written last
}

// New returns an empty set.
func New(o Options) *Streams {
	return &Streams{options: o, all: map[Place]*held{}, members: map[string]int{}}
}

// Resume returns an answer that goes on with a stream behind the event that its
// caller has last, which confirms that one and all before it. It returns nil where
// the event is of no stream that is here.
func (s *Streams) Resume(p Place, eventID string) *Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.all[p]
	if h == nil || s.stopped {
		return nil
	}
	number, ok := h.numberOf(eventID)
	if !ok {
		return nil
	}
	a := &Answer{streams: s, held: h, turn: h.take(), resumed: true}
	s.awaitLocked(h, a.turn)
	s.Counters.Resumed.Add(1)
	h.session.Box.Ponged(h.Stream, number)
	h.confirm(number)
	return a
}

// Reserve takes a place for another stream of a member; one of the name that is
// there already gives way. Begin or Cancel has to follow.
func (s *Streams) Reserve(p Place) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped:
		return ErrStopped
	case s.all[p] == nil && s.members[p.MemberID] >= PerMember:
		return ErrFull
	}
	s.members[p.MemberID]++
	return nil
}

// Cancel gives back what Reserve took.
func (s *Streams) Cancel(p Place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.giveBackLocked(p)
}

// Begin returns an answer with a new stream for a session, in a place that is
// reserved. online gives the session the stream, when the answer begins.
func (s *Streams) Begin(p Place, st *Stream, session *presence.Session, online func()) *Answer {
	h := &held{Stream: st, place: p, session: session}
	s.Counters.Begun.Add(1)
	st.count(&s.Counters.Lost)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		st.shut()
	}
	if s.all[p] != nil {
		s.giveBackLocked(p) // it has the place of the one before
	}
	s.all[p] = h
	a := &Answer{streams: s, held: h, turn: st.take(), online: online}
	s.awaitLocked(h, a.turn)
	return a
}

// awaitLocked gives a stream up unless an answer is written in time: the one with a
// turn, or one behind it.
func (s *Streams) awaitLocked(h *held, turn uint64) {
	if h.timer != nil {
		h.timer.Stop()
	}
	h.timer = time.AfterFunc(s.options.Held, func() { s.giveUp(h, turn) })
}

// begun is called when an answer is about to be written.
func (s *Streams) begun(h *held, turn uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.current(turn) {
		h.writing = turn
		h.timer.Stop()
	}
}

// release is called when an answer has ended. A stream that is not over waits for
// its caller.
func (s *Streams) release(h *held, turn uint64, how ending) {
	s.mu.Lock()
	if !h.current(turn) {
		s.mu.Unlock()
		return
	}
	if how == mayResume && !s.stopped && s.all[h.place] == h {
		h.writing = 0
		s.awaitLocked(h, turn)
		s.mu.Unlock()
		return
	}
	s.forgetLocked(h)
	s.mu.Unlock()
	s.leave(h, how == goodbye)
}

// giveUp ends a stream whose caller has not come back.
func (s *Streams) giveUp(h *held, turn uint64) {
	s.mu.Lock()
	if !h.current(turn) || h.writing == turn {
		s.mu.Unlock()
		return
	}
	s.forgetLocked(h)
	s.mu.Unlock()
	s.leave(h, true)
}

// leave takes the stream from its session. What it has not confirmed goes back to
// the store.
func (s *Streams) leave(h *held, goodbye bool) {
	h.CloseWith(0, reasonResume)
	if last, over := s.options.Directory.Leave(h.session, h.Stream, goodbye); over {
		s.options.Left(last)
	}
}

func (s *Streams) forgetLocked(h *held) {
	if s.all[h.place] != h {
		return
	}
	delete(s.all, h.place)
	s.giveBackLocked(h.place)
}

func (s *Streams) giveBackLocked(p Place) {
	if s.members[p.MemberID]--; s.members[p.MemberID] == 0 {
		delete(s.members, p.MemberID)
	}
}

// Close ends all streams. Their sessions keep their grace time, to come back on
// another node.
func (s *Streams) Close() {
	s.mu.Lock()
	s.stopped = true
	var all []*held
	for _, h := range s.all {
		all = append(all, h)
	}
	s.mu.Unlock()
	for _, h := range all {
		h.shut()
		s.mu.Lock()
		waits := h.timer.Stop()
		if waits {
			s.forgetLocked(h)
		}
		s.mu.Unlock()
		if waits {
			s.leave(h, false)
		}
	}
}

// Count returns how many streams there are.
func (s *Streams) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

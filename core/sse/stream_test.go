package sse

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestStreamGoesOnBehindAnyEvent holds that whoever comes back with any id gets
// exactly what is behind it, however pushes, answers and confirmations mix.
func TestStreamGoesOnBehindAnyEvent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s := NewStream(false, time.Now())
		turn, pushed, wrote, confirmed := s.take(), 0, 0, 0
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			switch rapid.IntRange(0, 2).Draw(rt, "what") {
			case 0:
				n, ok := s.Push(fmt.Appendf(nil, "%d", pushed+1))
				if pushed++; !ok || n != uint64(pushed) {
					rt.Fatalf("push %d: got %d, %v", pushed, n, ok)
				}
			case 1:
				for _, e := range s.next(turn).events {
					wrote++
					if want := fmt.Sprint(wrote); string(e.data) != want || e.id != s.eventID(uint64(wrote)) {
						rt.Fatalf("wrote %+v, want %s", e, want)
					}
				}
				if wrote != pushed {
					rt.Fatalf("wrote up to %d of %d", wrote, pushed)
				}
			default:
				last := rapid.IntRange(confirmed, wrote).Draw(rt, "last")
				n, ok := s.numberOf(s.eventID(uint64(last)))
				if !ok || n != uint64(last) {
					rt.Fatalf("%d: got %d, %v", last, n, ok)
				}
				turn = s.take()
				s.confirm(n)
				confirmed, wrote = last, last
			}
		}
	})
}

func TestStreamKnowsItsEvents(t *testing.T) {
	t.Parallel()
	s, other := NewStream(false, time.Now()), NewStream(false, time.Now())
	s.Push([]byte("a"))
	s.next(s.take())
	for _, id := range []string{"", "-", s.id, s.id + "-", s.id + "-2", s.id + "--1", s.id + "-x", other.eventID(1), "1", strings.Repeat("9", 40)} {
		if n, ok := s.numberOf(id); ok {
			t.Errorf("%q is taken for %d", id, n)
		}
	}
}

// A stream keeps so much and no more; what it does not take is the mailbox's.
func TestStreamIsBounded(t *testing.T) {
	t.Parallel()
	s := NewStream(false, time.Now())
	large := make([]byte, keptBytes+1)
	if _, ok := s.Push(large); !ok {
		t.Error("a message that fills the stream alone cannot be delivered")
	}
	if _, ok := s.Push([]byte("a")); ok || !s.Full(1) {
		t.Error("a full stream takes more")
	}
	turn := s.take()
	if b := s.next(turn); b.end == nil || b.end.Reason != reasonResume || b.over || len(b.events) != 1 {
		t.Errorf("a full stream goes on: %+v", b.end)
	}
	s.confirm(1)
	if _, ok := s.Push([]byte("a")); !ok {
		t.Error("a stream takes nothing after a confirmation")
	}
	news := 0
	for s.Send(make([]byte, 1<<10)) {
		news++
	}
	if news != newsBytes>>10 {
		t.Errorf("%d kilobytes of news wait", news)
	}
	s.CloseWith(4002, "banned")
	s.CloseWith(1000, "later")
	if b := s.next(turn); !b.over || *b.end != (Closed{4002, "banned"}) {
		t.Errorf("got %+v", b.end)
	}
	if _, ok := s.Push([]byte("a")); ok || s.Send([]byte("a")) {
		t.Error("a stream that is over takes something")
	}
}

// Who has lost a stream to another answer is told, and takes nothing from it.
func TestStreamIsTakenOver(t *testing.T) {
	t.Parallel()
	s := NewStream(false, time.Now())
	first := s.take()
	second := s.take()
	s.Push([]byte("a"))
	if b := s.next(first); b.end == nil || b.end.Reason != reasonReplaced || b.over || len(b.events) != 0 {
		t.Errorf("got %+v", b)
	}
	if b := s.next(second); len(b.events) != 1 {
		t.Errorf("got %+v", b)
	}
}

package sse

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claudemesh/broker/core/presence"
)

// leavers is a directory that notes who left, and how.
type leavers struct {
	mu      sync.Mutex
	goodbye []bool
}

func (l *leavers) Leave(_ *presence.Session, _ presence.Conn, goodbye bool) (presence.View, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.goodbye = append(l.goodbye, goodbye)
	return presence.View{}, false
}

// all returns whether each that left said goodbye.
func (l *leavers) all() []bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.goodbye)
}

func newStreams() (*Streams, *leavers) {
	left := new(leavers)
	o := DefaultOptions()
	o.Directory, o.Left = left, func(presence.View) {}
	return New(o), left
}

func place(name string) Place { return Place{Mesh: "home", MemberID: "ada", Name: name} }

// begin begins an answer, unless there is no room.
func (s *Streams) begin(name string) (*Answer, error) {
	if err := s.Reserve(place(name)); err != nil {
		return nil, err
	}
	return s.Begin(place(name), NewStream(false, time.Now()), &presence.Session{ID: name}, func() {}), nil
}

// A member has so many streams and no more, also when it opens all at once.
func TestStreamsHaveSoMuchRoom(t *testing.T) {
	t.Parallel()
	s, _ := newStreams()
	for i := range PerMember - 1 {
		if err := s.Reserve(place(fmt.Sprint(i))); err != nil {
			t.Fatalf("stream %d: %v", i, err)
		}
	}
	if _, err := s.begin("last"); err != nil {
		t.Fatal(err)
	}
	if err := s.Reserve(place("more")); !errors.Is(err, ErrFull) {
		t.Errorf("one more: got %v", err)
	}
	if _, err := s.begin("last"); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if err := s.Reserve(Place{Mesh: "home", MemberID: "bo"}); err != nil {
		t.Errorf("another member's: %v", err)
	}
	s.Cancel(place("0"))
	if err := s.Reserve(place("more")); err != nil {
		t.Errorf("after one has ended: %v", err)
	}
	s.Close()
	if err := s.Reserve(place("late")); !errors.Is(err, ErrStopped) {
		t.Errorf("after the end: got %v", err)
	}
}

// An answer that nobody writes, since its request failed behind its handler, gives
// its place back.
func TestStreamsForgetWhatNobodyWrites(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := newStreams()
		if _, err := s.begin("one"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(s.options.Held + time.Second)
		synctest.Wait()
		if n := s.Count(); n != 0 || len(s.members) != 0 {
			t.Errorf("%d streams are left, of %v", n, s.members)
		}
	})
}

// What is written lasts longer than a stream waits for its caller; then it waits.
func TestStreamsWaitForTheirCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, left := newStreams()
		a, err := s.begin("one")
		if err != nil {
			t.Fatal(err)
		}
		a.Good = func(context.Context) bool { return true }
		res := httptest.NewRecorder()
		a.Write(res, httptest.NewRequest(http.MethodGet, "/v1/events", http.NoBody))
		if body := res.Body.String(); !strings.Contains(body, "event: ready\n") || !strings.Contains(body, `"reason":"resume"`) {
			t.Errorf("wrote %q", body)
		}
		if s.Count() != 1 || len(left.all()) != 0 {
			t.Error("the stream did not wait for its caller")
		}
		time.Sleep(s.options.Held + time.Second)
		synctest.Wait()
		if s.Count() != 0 || !slices.Equal(left.all(), []bool{true}) {
			t.Errorf("%d streams are left, goodbyes %v", s.Count(), left.all())
		}
	})
}

// The session of a credential that is good no more ends with its stream.
func TestStreamsEndWithTheirCredential(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, left := newStreams()
		a, err := s.begin("one")
		if err != nil {
			t.Fatal(err)
		}
		a.Good = func(context.Context) bool { return false }
		res := httptest.NewRecorder()
		a.Write(res, httptest.NewRequest(http.MethodGet, "/v1/events", http.NoBody))
		if !strings.Contains(res.Body.String(), `"reason":"credential"`) {
			t.Errorf("wrote %q", res.Body)
		}
		if s.Count() != 0 || !slices.Equal(left.all(), []bool{true}) {
			t.Errorf("%d streams are left, goodbyes %v", s.Count(), left.all())
		}
	})
}

package presence

import (
	"errors"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/store"
)

func TestAttachFindsTheSessionThatContinues(t *testing.T) {
	with := func(a Arrival, change func(*Arrival)) Arrival { change(&a); return a }
	tests := []struct {
		name         string
		first, again Arrival
		resumed      bool
	}{
		{"continues on the same session key", arrival("ada", "s1"), arrival("ada", "s1"), true},
		{"continues on the same session key whatever else changed", arrival("ada", "s1"), with(arrival("ada", "s1"), func(a *Arrival) {
			a.About = About{Name: "Ada", SessionID: "other", Hostname: "other", Channel: "other"}
		}), true},
		{"begins anew on another session key", arrival("ada", "s1"), arrival("ada", "s2"), false},
		{"begins anew without the session key", arrival("ada", "s1"), arrival("ada", ""), false},
		{"begins anew with a session key", arrival("ada", ""), arrival("ada", "s1"), false},
		{"continues the launch", arrival("ada", ""), arrival("ada", ""), true},
		{"begins anew in another launch", arrival("ada", ""), with(arrival("ada", ""), func(a *Arrival) { a.About.SessionID = "other" }), false},
		{"begins anew on another host", arrival("ada", ""), with(arrival("ada", ""), func(a *Arrival) { a.About.Hostname = "other" }), false},
		{"begins anew on another channel", arrival("ada", ""), with(arrival("ada", ""), func(a *Arrival) { a.About.Channel = "other" }), false},
		{"begins anew for another member in a launch of the same id", arrival("ada", ""), arrival("eve", ""), false},
		{"begins anew for another member on the same session key", arrival("ada", "s1"), arrival("eve", "s1"), false},
		{"begins anew when a launch has no id", with(arrival("ada", ""), func(a *Arrival) { a.About.SessionID = "" }),
			with(arrival("ada", ""), func(a *Arrival) { a.About.SessionID = "" }), false},
		{"begins anew in another mesh", arrival("ada", "s1"), with(arrival("ada", "s1"), func(a *Arrival) {
			m := *a.Member
			m.MeshID, a.Member = "other", &m
		}), false},
	}
	for _, tt := range tests {
		t.Run("it "+tt.name, func(t *testing.T) {
			r := newRig(t, Options{Grace: time.Minute})
			first, older := r.come(tt.first)
			again := r.attach(tt.again)
			if same := again.Session == first; again.Resumed != tt.resumed || same != tt.resumed {
				t.Fatalf("resumed: got %v, the same session: %v, want %v", again.Resumed, same, tt.resumed)
			}
			if got, want := r.Count(), map[bool]int{true: 1, false: 2}[tt.resumed]; got != want {
				t.Errorf("got %d sessions, want %d", got, want)
			}
			r.Online(again, new(conn))
			if got, want := older.how(), map[bool]string{true: "1000 session_replaced"}[tt.resumed]; got != want {
				t.Errorf("the older connection was closed with %q, want %q", got, want)
			}
			if got := r.View(again.Session).About; got != tt.again.About {
				t.Errorf("about: got %+v, want the newest %+v", got, tt.again.About)
			}
		})
	}
}

func TestAttachHoldsTheLimit(t *testing.T) {
	r := newRig(t, Options{Grace: time.Minute, MeshLimit: 2})
	s1, c1 := r.come(arrival("ada", "s1"))
	r.come(arrival("ada", "s2"))
	if _, err := r.Attach(arrival("ada", "s3")); !errors.Is(err, ErrFull) {
		t.Fatalf("a third session: got %v, want ErrFull", err)
	}
	r.Leave(s1, c1, false)
	if _, err := r.Attach(arrival("ada", "s3")); !errors.Is(err, ErrFull) {
		t.Errorf("a third session while the first is in its grace time: got %v, want ErrFull", err)
	}
	if s, err := r.Attach(arrival("ada", "s1")); err != nil || !s.Resumed {
		t.Errorf("the first session again: got resumed %v, %v, want it back", s.Resumed, err)
	}
	r.End(s1, 4001, "kicked")
	if _, err := r.Attach(arrival("ada", "s3")); err != nil {
		t.Errorf("a session in the place of one that ended: %v", err)
	}
}

// The sweep must not end a session between its hello and its connection.
func TestSessionThatIsComingBackDoesNotEnd(t *testing.T) {
	tests := []struct {
		name  string
		grace time.Duration
	}{
		{"with a grace time", time.Minute},
		{"without a grace time", 0},
	}
	for _, tt := range tests {
		t.Run("it keeps the session "+tt.name, func(t *testing.T) {
			r := newRig(t, Options{Grace: tt.grace})
			fresh := r.attach(arrival("ada", "s1"))
			r.pass(time.Millisecond)
			if ended := r.EndExpired(); len(ended) > 0 {
				t.Fatal("a new session was ended before it had its connection")
			}
			c := new(conn)
			r.Online(fresh, c)
			r.Leave(fresh.Session, c, false)
			r.pass(tt.grace + time.Millisecond)
			again := r.attach(arrival("ada", "s1"))
			r.pass(time.Millisecond)
			if ended := r.EndExpired(); len(ended) > 0 {
				t.Fatalf("a session that comes back (resumed: %v) was ended", again.Resumed)
			}
			next := new(conn)
			r.Online(again, next)
			if next.how() != "" {
				t.Errorf("its connection was closed: %s", next.how())
			}
		})
	}
}

// Two connections of one session that come at once: what is sent goes to the
// one that stays, in whatever order they get there.
func TestConnectionsThatComeAtOnceAgreeOnTheLast(t *testing.T) {
	r := newRig(t, Options{Grace: time.Minute})
	first, second := r.attach(arrival("ada", "s1")), r.attach(arrival("ada", "s1"))
	older, newer := new(conn), new(conn)
	held, release := make(chan struct{}), make(chan struct{})
	once := true
	r.journal.SavePresenceFn = func(*store.Presence) {
		if once {
			once = false
			close(held)
			<-release
		}
	}
	var olderDone, newerDone = make(chan struct{}), make(chan struct{})
	go func() { defer close(olderDone); r.Online(first, older) }()
	<-held // the older is the session's, but not yet its mailbox's
	go func() { defer close(newerDone); r.Online(second, newer) }()
	select {
	case <-newerDone: // it overtakes the older
	case <-time.After(50 * time.Millisecond): // it waits for the older
	}
	close(release)
	<-olderDone
	<-newerDone
	if older.how() != "1000 session_replaced" || newer.how() != "" {
		t.Fatalf("closed: got the older %q, the newer %q, want the older replaced", older.how(), newer.how())
	}
	eventually(t, "a message to be pushed", func() bool { return r.send(key("s1")) == 1 })
	if len(newer.got()) == 0 {
		t.Errorf("the message went to the connection that was closed: %v", older.got())
	}
	if _, ended := r.Leave(first.Session, older, true); ended {
		t.Error("the end of the older connection ended the session")
	}
}

// An older connection that gets to its session after a newer one does not take
// it away.
func TestConnectionThatIsLateGivesWay(t *testing.T) {
	r := newRig(t, Options{Grace: time.Minute})
	first, second := r.attach(arrival("ada", "s1")), r.attach(arrival("ada", "s1"))
	older, newer := new(conn), new(conn)
	r.Online(second, newer)
	r.Online(first, older)
	if older.how() != "1000 session_replaced" || newer.how() != "" {
		t.Errorf("closed: got the older %q, the newer %q, want the older replaced", older.how(), newer.how())
	}
	third := r.attach(arrival("ada", "s1"))
	r.Leave(second.Session, newer, false)
	r.Online(third, older)
	if v := r.View(third.Session); !v.Online {
		t.Error("the connection that came last was refused")
	}
}

package presence

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestLeave(t *testing.T) {
	tests := []struct {
		name    string
		goodbye bool
		another bool // a newer connection has taken its place
		ended   bool
		online  bool
	}{
		{"ends a session that said goodbye", true, false, true, false},
		{"gives any other its grace time", false, false, false, false},
		{"does nothing for a connection that was replaced", false, true, false, true},
		{"does nothing for a connection that was replaced and said goodbye", true, true, false, true},
	}
	for _, tt := range tests {
		t.Run("it "+tt.name, func(t *testing.T) {
			r := newRig(t, Options{Grace: time.Minute})
			s, c := r.come(arrival("ada", "s1"))
			if tt.another {
				r.Online(r.attach(arrival("ada", "s1")), new(conn))
			}
			last, ended := r.Leave(s, c, tt.goodbye)
			if ended != tt.ended {
				t.Fatalf("ended: got %v, want %v", ended, tt.ended)
			}
			if ended && (last.Session != s || last.Name != "ada") {
				t.Errorf("last: got %+v, want the session", last)
			}
			if _, live := r.Live(s); live == tt.ended {
				t.Errorf("live: got %v, want %v", live, !tt.ended)
			}
			if v := r.View(s); v.Online != tt.online {
				t.Errorf("online: got %v, want %v", v.Online, tt.online)
			}
		})
	}
}

func TestEndExpired(t *testing.T) {
	r := newRig(t, Options{Grace: time.Minute})
	s, c := r.come(arrival("ada", "s1"))
	r.come(arrival("bo", "s2"))
	r.Leave(s, c, false)
	left := r.now()
	for _, step := range []struct {
		name  string
		after time.Duration
		ended int
	}{
		{"before its grace time is over", time.Minute, 0},
		{"when it is over", time.Millisecond, 1},
		{"again", time.Hour, 0},
	} {
		r.pass(step.after)
		if got := r.EndExpired(); len(got) != step.ended {
			t.Errorf("%s: %d sessions ended, want %d", step.name, len(got), step.ended)
		}
	}
	if v := r.View(s); v.LastSeen.After(left) {
		t.Errorf("last seen %v after it left", v.LastSeen.Sub(left))
	}
	if _, ended := r.End(s, 4001, "kicked"); ended {
		t.Error("a session that is over was ended again")
	}
	if r.SetVisible(s, false) {
		t.Error("a session that is over was changed")
	}
}

func TestEndClosesTheConnection(t *testing.T) {
	r := newRig(t, Options{Grace: time.Minute})
	s, c := r.come(arrival("ada", "s1"))
	if _, ended := r.End(s, 4002, "banned"); !ended {
		t.Fatal("the session was not ended")
	}
	if got := c.how(); got != "4002 banned" {
		t.Errorf("closed: got %q, want 4002 banned", got)
	}
	if _, ended := r.Leave(s, c, false); ended {
		t.Error("the session ended twice")
	}
	late := new(conn)
	r.Online(Attached{Session: s}, late)
	if late.how() == "" {
		t.Error("a session that is over got a connection")
	}
	if got := r.send(key("s1")); got != 0 || r.Count() != 0 {
		t.Errorf("pushed to %d of %d sessions, want none", got, r.Count())
	}
}

func TestSweepTellsOfEachSessionOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Grace: 90 * time.Second, StatusTTL: time.Minute})
		r.Directory.now = time.Now
		s, c := r.come(arrival("ada", "s1"))
		stuck, _ := r.come(arrival("bo", "s2"))
		r.SetStatus(stuck, Working, Hook)
		r.Leave(s, c, false)
		ctx, cancel := context.WithCancel(t.Context())
		var ended []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.Sweep(ctx, func(v View) { ended = append(ended, v.Name) })
		}()
		time.Sleep(10 * time.Minute) // of the bubble's clock
		cancel()
		<-done
		if len(ended) != 1 || ended[0] != "ada" {
			t.Errorf("ended: got %q, want ada once", ended)
		}
		if v := r.View(stuck); v.Status != Idle || v.Source != Inferred {
			t.Errorf("a stuck status: got %s by %s, want idle by jsonl", v.Status, v.Source)
		}
		r.engine.Close()
	})
}

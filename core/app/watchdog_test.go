package app_test

import (
	"testing"
	"time"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/store"
)

// pings sets the times of the watchdog.
func pings(every, deadAfter time.Duration) func(*config.Config) {
	return func(c *config.Config) { c.Presence.PingEvery, c.Presence.DeadAfter = every, deadAfter }
}

func TestWatchdogCutsWhoGivesNoSignOfLife(t *testing.T) {
	r := newRig(t, pings(60*time.Millisecond, 300*time.Millisecond))
	hello := func(name string) frame { return r.vouched(session(r.member(name, store.RoleMember)), time.Now()) }
	alive := r.greet(hello("alive"), socketOptions{})
	talking := r.greet(hello("talking"), socketOptions{deaf: true})
	start := time.Now()
	dead := r.greet(hello("dead"), socketOptions{deaf: true})
	eventually(t, "the dead connection to be cut", func() bool {
		talking.settle() // what it sends is a sign of life, though it answers no ping
		select {
		case <-dead.done:
			return true
		default:
			return false
		}
	})
	if took := time.Since(start); took < 300*time.Millisecond {
		t.Errorf("it was cut after %v, before its time was over", took)
	}
	if code, reason := dead.end(); code != -1 {
		t.Errorf("it was closed with %d %s, want it cut", code, reason)
	}
	alive.settle()
	// Its session has its grace time, as after any other loss.
	r.wantLeft(2, 3)
	if got := r.metric("broker_peers_dead_total"); got != "1" {
		t.Errorf("broker_peers_dead_total: got %s, want 1", got)
	}
}

func TestHelloHasToComeInTime(t *testing.T) {
	r := newRig(t, func(c *config.Config) { c.Limits.HelloTimeout = 200 * time.Millisecond })
	greeted := r.greet(r.hello(r.member("ada", store.RoleMember), time.Now()), socketOptions{})
	tests := []struct {
		name string
		do   func(*socket)
	}{
		{"who says nothing", func(*socket) {}},
		{"who says something else", func(s *socket) {
			s.write(`{"type":"mesh_info"}`)
			s.wantError("no_hello")
		}},
		{"who begins and does not end", func(s *socket) {
			// The head of a text frame of 100 bytes, and one of them.
			if _, err := s.line.Write([]byte{0x81, 0x80 | 100, 1, 2, 3, 4, '{'}); err != nil {
				t.Error(err)
			}
		}},
		{"who announces a frame without end", func(s *socket) {
			if _, err := s.line.Write([]byte{0x81, 0x80 | 127, 0x7f, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, '{'}); err != nil {
				t.Error(err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run("it closes "+tt.name, func(t *testing.T) {
			s := open(t, r.url, socketOptions{})
			tt.do(s)
			s.wantError("hello_timeout")
			s.wantClosed(1008, "hello_timeout")
		})
	}
	t.Run("it lets go who opens and closes", func(t *testing.T) { open(t, r.url, socketOptions{}).bye() })
	greeted.settle()
	r.wantLeft(1, 1)
}

func TestStrangersMayNotTalkForEver(t *testing.T) {
	r := newRig(t, nil)
	served := r.pair()
	s := open(t, r.url, socketOptions{})
	for range 16 {
		s.write(`{"type":"mesh_info"}`)
		s.wantError("no_hello")
	}
	s.write("nonsense")
	s.wantError("malformed")
	s.wantError("too_many_invalid")
	s.wantClosed(1008, "too_many_invalid")
	r.wantServed(served, "after")
}

package presence

import (
	"testing"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// An event stream begins with what its member had saved, and would write it over
// what a session has saved since.
func TestPassingSessionsKeepNothing(t *testing.T) {
	tests := []struct {
		name string
		end  func(r *rig, s *Session, c *conn)
	}{
		{"when it says goodbye", func(r *rig, s *Session, c *conn) { r.Leave(s, c, true) }},
		{"when it loses its connection", func(r *rig, s *Session, c *conn) { r.Leave(s, c, false) }},
		{"when it is ended", func(r *rig, s *Session, _ *conn) { r.End(s, 4001, "kicked") }},
		{"when a hook changes its status", func(r *rig, s *Session, _ *conn) { r.SetStatus(s, Working, Hook) }},
		{"when its member gets another name", func(r *rig, _ *Session, _ *conn) { r.Rename("mesh", "id-ada", "ada", "eve") }},
	}
	for _, tt := range tests {
		t.Run("it writes nothing "+tt.name, func(t *testing.T) {
			r := newRig(t, Options{Grace: time.Minute})
			a := arrival("ada", "")
			a.Passing = true
			s, c := r.come(a)
			tt.end(r, s, c)
			if got := r.journal.saved(sdk.Key{}); got != nil {
				t.Errorf("it saved %+v", got)
			}
		})
	}
}

// The mark is the arrival's: a socket that takes the session up keeps its state.
func TestPassingIsOfTheLastArrival(t *testing.T) {
	r := newRig(t, Options{Grace: time.Minute})
	a := arrival("ada", "")
	a.Passing = true
	r.come(a)
	a.Passing = false
	s, _ := r.come(a)
	r.SetSummary(s, "writes tests")
	if got := r.journal.saved(sdk.Key{}); got == nil || got.Summary != "writes tests" {
		t.Errorf("saved %+v, want the summary", got)
	}
}

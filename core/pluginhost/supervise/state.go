package supervise

import (
	"maps"
	"time"
)

// Phase is where a supervisor is. Values are words of metrics and of
// `broker plugin list`.
type Phase string

// Phases.
const (
	Starting    Phase = "starting"    // a life is being started or brought up
	Up          Phase = "up"          // a life works
	Waiting     Phase = "waiting"     // until NextStart
	Quarantined Phase = "quarantined" // until Resume
	Stopped     Phase = "stopped"     // not started yet, stopped, or its first start failed
)

// Reasons of ends that the supervisor sees itself. Others are those of
// [Supervisor.Kill].
const (
	ReasonCrash = "crash" // the process ended
	ReasonStart = "start" // it did not start
	ReasonUp    = "up"    // Up failed
)

// State is a copy of what a supervisor knows.
type State struct {
	Phase     Phase
	Since     time.Time         // of the phase
	Restarts  map[string]uint64 // ends that were not asked for, by reason
	LastExit  LastExit          // of the latest of them; zero: none yet
	NextStart time.Time         // while waiting
}

// LastExit is how a life ended that nobody had stopped.
type LastExit struct {
	Reason string
	Text   string // one line
	At     time.Time
	Stderr string // its last 64 KiB
}

// State returns the state now. Safe for concurrent use.
func (s *Supervisor) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.state
	state.Restarts = maps.Clone(state.Restarts)
	return state
}

// enter begins a phase. The next start is due after delay when it waits for one.
func (s *Supervisor) enter(p Phase, delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Phase, s.state.Since, s.state.NextStart = p, time.Now(), time.Time{}
	if p == Waiting {
		s.state.NextStart = s.state.Since.Add(delay)
	}
}

// note counts an end.
func (s *Supervisor) note(e *ending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Restarts[e.reason]++
	s.state.LastExit = LastExit{Reason: e.reason, Text: e.err.Error(), At: time.Now(), Stderr: e.stderr}
}

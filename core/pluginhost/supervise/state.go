package supervise

import (
	"maps"
	"slices"
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
	Ends      []End             // the latest of them, newest first, at most EndsKept
	NextStart time.Time         // while waiting
}

// LastExit is how a life ended that nobody had stopped.
type LastExit struct {
	Reason string
	Text   string // one line
	At     time.Time
	Stderr string // its last 64 KiB
}

// Bounds of what is remembered of ends.
const (
	EndsKept   = 16
	endText    = 240     // bytes
	endPrinted = 2 << 10 // bytes
)

// End is an end that nobody had asked for, as it is remembered when others have
// come after it.
type End struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	Text   string    `json:"text,omitempty"`   // one line, of at most 240 bytes
	Stderr string    `json:"stderr,omitempty"` // the last it printed before, of at most 2 KiB
}

// State returns the state now. Safe for concurrent use.
func (s *Supervisor) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.state
	state.Restarts, state.Ends = maps.Clone(state.Restarts), slices.Clone(state.Ends)
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

// note counts an end, and remembers it.
func (s *Supervisor) note(e *ending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Restarts[e.reason]++
	last := LastExit{Reason: e.reason, Text: e.err.Error(), At: time.Now(), Stderr: e.stderr}
	s.state.LastExit = last
	end := End{At: last.At, Reason: last.Reason, Text: head(last.Text, endText), Stderr: tail(last.Stderr, endPrinted)}
	s.state.Ends = slices.Insert(s.state.Ends, 0, end)
	s.state.Ends = s.state.Ends[:min(len(s.state.Ends), EndsKept)]
}

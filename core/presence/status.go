package presence

import "time"

// Status says whether a session may be disturbed.
type Status string

// Statuses.
const (
	Idle    Status = "idle"
	Working Status = "working"
	DND     Status = "dnd"
)

// ParseStatus reads a status as clients write it.
func ParseStatus(s string) (Status, bool) {
	switch st := Status(s); st {
	case Idle, Working, DND:
		return st, true
	}
	return "", false
}

// Source says who set a status.
type Source string

// Sources, in falling rank: a hook of the agent's tool knows when a turn starts
// and ends; a person or agent says so; the broker inferred it. The word on the
// wire for the last is "jsonl", after the transcripts that it can be read from.
const (
	Hook     Source = "hook"
	Manual   Source = "manual"
	Inferred Source = "jsonl"
)

func (s Source) rank() int {
	switch s {
	case Hook:
		return 3
	case Manual:
		return 2
	default:
		return 1
	}
}

// state is a status with its origin.
type state struct {
	Status Status
	Source Source
	At     time.Time
}

// fresh reports whether the status was set at most window ago. A time in the
// future is not fresh.
func (s state) fresh(now time.Time, window time.Duration) bool {
	age := now.Sub(s.At)
	return age >= 0 && age <= window
}

// write applies a new status. A different status always replaces the old one:
// rank decides whose word a status is, and callers decide whether they may
// speak. The same status from a lower source keeps a fresh higher source alive,
// and takes over from a stale one.
func (s state) write(status Status, source Source, now time.Time, window time.Duration) state {
	if status == s.Status && source.rank() < s.Source.rank() && s.fresh(now, window) {
		return state{s.Status, s.Source, now}
	}
	return state{status, source, now}
}

// guessable reports whether a guess may replace the status: neither "do not
// disturb", nor said by a hook or a person at most window ago.
func (s state) guessable(now time.Time, window time.Duration) bool {
	return s.Status != DND && (s.Source == Inferred || !s.fresh(now, window))
}

// stuck reports whether a working status has outlived ttl: the hook that ends
// the turn never came.
func (s state) stuck(now time.Time, ttl time.Duration) bool {
	return s.Status == Working && now.Sub(s.At) > ttl
}

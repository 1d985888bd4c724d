package logging

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Level is the importance from which on a log writes lines. It can be changed
// while the log writes. All methods may be called concurrently. Make it with
// [New].
type Level struct {
	// Set by New, never changed.
	configured slog.Level
	handler    slog.Handler

	now slog.LevelVar // what counts

	mu    sync.Mutex
	base  slog.Level  // what comes back when the time is over
	until time.Time   // zero without an end
	timer *time.Timer // nil without an end
	turn  uint64      // counts changes, so that a timer knows whether it is the last one's
}

var _ slog.Leveler = (*Level)(nil)

// State is how a log's level is.
type State struct {
	Level      slog.Level
	Base       slog.Level // what comes back at Until
	Configured slog.Level // what the log began with
	Until      time.Time  // zero: for as long as the process lives
}

func newLevel(configured slog.Level) *Level {
	l := &Level{configured: configured, base: configured}
	l.now.Set(configured)
	return l
}

// Level implements [slog.Leveler].
func (l *Level) Level() slog.Level { return l.now.Level() }

// State returns how the level is now.
func (l *Level) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return State{Level: l.now.Level(), Base: l.base, Configured: l.configured, Until: l.until}
}

// Set changes the level: for a while, after which the level comes back that was
// last set without an end, or, with 0, until it is set again. The log says so in
// a line that no level keeps back.
func (l *Level) Set(level slog.Level, while time.Duration) State {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn++
	if l.timer != nil {
		l.timer.Stop()
		l.timer, l.until = nil, time.Time{}
	}
	if while > 0 {
		l.until = time.Now().Add(while)
		turn := l.turn
		l.timer = time.AfterFunc(while, func() { l.end(turn) })
	} else {
		l.base = level
	}
	l.changeLocked(level, "operator")
	return State{Level: level, Base: l.base, Configured: l.configured, Until: l.until}
}

// end brings the level back, unless another change came before.
func (l *Level) end(turn uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.turn != turn {
		return
	}
	l.timer, l.until = nil, time.Time{}
	l.changeLocked(l.base, "time")
}

func (l *Level) changeLocked(level slog.Level, by string) {
	before := l.now.Level()
	l.now.Set(level)
	r := slog.NewRecord(time.Now(), slog.LevelInfo, "log level changed", 0)
	r.AddAttrs(slog.String("to", level.String()), slog.String("from", before.String()), slog.String("by", by))
	if !l.until.IsZero() {
		r.AddAttrs(slog.Time("until", l.until))
	}
	_ = l.handler.Handle(context.Background(), r) // as slog does: nobody can be told
}

// Package logging makes the broker's own log: one line an event, on standard
// error, with time, level, msg and further keys in snake_case.
//
// Three things are done to every line, so that nobody has to think of them:
// what is logged under a span's context gets the ids of the trace; the level can
// be changed while the broker runs; and values in which a secret could be, such
// as bytes, or the password in a URL, are left out.
package logging

import (
	"io"
	"log/slog"

	"github.com/claudemesh/broker/core/config"
)

// New returns a log that writes to out, and what changes its level. Out is
// written to by one goroutine at a time, once for each line.
func New(out io.Writer, c config.Log) (*slog.Logger, *Level) {
	l := newLevel(levelOf(c.Level))
	o := &slog.HandlerOptions{Level: l}
	var h slog.Handler
	if c.Format == config.Text {
		h = slog.NewTextHandler(out, o)
	} else {
		h = slog.NewJSONHandler(out, o)
	}
	l.handler = handler{h}
	return slog.New(l.handler), l
}

// levelOf reads a level that the config has let through.
func levelOf(text config.Level) slog.Level {
	level := slog.LevelInfo
	if err := level.UnmarshalText([]byte(text)); err != nil {
		return slog.LevelInfo
	}
	return level
}

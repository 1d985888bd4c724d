package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"golang.org/x/time/rate"
)

const (
	// tellEvery is how often the log says that telemetry is not taken, and tellFirst
	// how many complaints of settings it has before it keeps to that: a start may
	// find several.
	tellEvery = time.Minute
	tellFirst = 10
)

// hearTelemetry has the log get what OpenTelemetry says. The library has one
// place for it in a whole process, which is standard error, as plain text and
// with the settings that it does not like; so this comes before anything of it is
// made.
func (b *broker) hearTelemetry() {
	lost := &rate.Sometimes{Interval: tellEvery}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		if errors.Is(err, context.Canceled) {
			return // by a stop, which sends the rest itself
		}
		lost.Do(func() { b.log.Warn("telemetry not sent", slog.Any("err", err)) })
	}))
	otel.SetLogger(logr.New(complaints{b.log, &rate.Sometimes{First: tellFirst, Interval: tellEvery}}))
}

// complaints is a [logr.LogSink] that writes errors and warnings to the log. Most
// are about a variable that cannot be used, and come with what was in it, such as
// a header with a key: no value is written but the name of a variable.
type complaints struct {
	log       *slog.Logger
	sometimes *rate.Sometimes
}

// warnings is the level that the library gives them; what is above is chatter.
const warnings = 1

// Init implements [logr.LogSink].
func (complaints) Init(logr.RuntimeInfo) {}

// Enabled implements [logr.LogSink].
func (complaints) Enabled(level int) bool { return level <= warnings }

// Info implements [logr.LogSink].
func (c complaints) Info(_ int, msg string, pairs ...any) { c.write(nil, msg, pairs) }

// Error implements [logr.LogSink].
func (c complaints) Error(err error, msg string, pairs ...any) { c.write(err, msg, pairs) }

// WithValues implements [logr.LogSink].
func (c complaints) WithValues(...any) logr.LogSink { return c }

// WithName implements [logr.LogSink].
func (c complaints) WithName(string) logr.LogSink { return c }

func (c complaints) write(err error, msg string, pairs []any) {
	c.sometimes.Do(func() {
		variable, hidden := "", []string(nil)
		for i := 0; i+1 < len(pairs); i += 2 {
			key, _ := pairs[i].(string)
			if key == "environment variable" {
				variable, _ = pairs[i+1].(string)
				continue
			}
			hidden = append(hidden, key)
		}
		c.log.Warn("telemetry complains; of settings, they are the variables OTEL_*", slog.String("what", msg),
			slog.String("err", unquoted(err)), slog.String("variable", variable), slog.String("not_shown", strings.Join(hidden, ", ")))
	})
}

// unquoted is an error's text without what it quotes: parsers quote what they
// were given. From the first quote to the last all is taken, as quotes may hold
// quotes. A file's error says which one without any.
func unquoted(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	text := err.Error()
	first, last := strings.IndexByte(text, '"'), strings.LastIndexByte(text, '"')
	if first == last {
		return text
	}
	return text[:first+1] + "…" + text[last:]
}

package admin

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/logging"
)

// maxLevelTime is how long a level may be set for: one that is to stay is one of
// the config.
const maxLevelTime = 7 * 24 * time.Hour

// LogLevelOptions say what the log is to have.
type LogLevelOptions struct {
	Level config.Level  `json:"level"`
	For   time.Duration `json:"forNanoseconds,omitempty"` // 0: until it is changed again, or the broker ends
}

// LogLevel is which lines the log has. Its JSON is a contract with other tools.
type LogLevel struct {
	Level      config.Level `json:"level"`
	Configured config.Level `json:"configured"`     // by log.level
	Until      time.Time    `json:"until,omitzero"` // then it goes back by itself
	Then       config.Level `json:"then,omitempty"` // to this
}

// LogLevel implements [Ops].
func (l *Local) LogLevel(context.Context) (*LogLevel, error) {
	if l.hooks.Level == nil {
		return nil, noLog()
	}
	return levelAnswer(l.hooks.Level.State()), nil
}

// SetLogLevel implements [Ops].
func (l *Local) SetLogLevel(_ context.Context, o LogLevelOptions) (*LogLevel, error) {
	levels := []string{"debug", "info", "warn", "error"} // slog reads info+1 too
	var level slog.Level
	err := level.UnmarshalText([]byte(o.Level))
	switch {
	case l.hooks.Level == nil:
		return nil, noLog()
	case err != nil || !slices.Contains(levels, string(o.Level)):
		return nil, invalid("a log level is one of " + strings.Join(levels, ", ") + "; got " + quote(string(o.Level)))
	case o.For < 0 || o.For > maxLevelTime:
		return nil, invalid("a log level is set for up to 7 days; set log.level in the config for one that is to stay")
	}
	return levelAnswer(l.hooks.Level.Set(level, o.For)), nil
}

func levelAnswer(s logging.State) *LogLevel {
	a := &LogLevel{Level: wordOf(s.Level), Configured: wordOf(s.Configured)}
	if !s.Until.IsZero() {
		a.Until, a.Then = s.Until.UTC().Truncate(time.Millisecond), wordOf(s.Base)
	}
	return a
}

// wordOf is a level as the config has it.
func wordOf(l slog.Level) config.Level { return config.Level(strings.ToLower(l.String())) }

func noLog() error {
	return core.Refuse("not_running", "no broker runs on this store (--config and --data-dir say which one), so there is no log: "+
		"log.level in the config says what the next one begins with")
}

package postgres

import (
	"fmt"
	"io"
	"log/slog"
)

// What follows has a secret in it. Logs and texts show its name alone, whatever
// the verb, and whatever it is part of; JSON, where it has any, is as it was.

// Format implements [fmt.Formatter].
func (Options) Format(f fmt.State, _ rune) { io.WriteString(f, "postgres.Options(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (Options) LogValue() slog.Value { return slog.StringValue("postgres.Options(***)") }

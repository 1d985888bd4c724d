package token

import (
	"fmt"
	"io"
	"log/slog"
)

// What follows has a secret in it. Logs and texts show its name alone, whatever
// the verb, and whatever it is part of; JSON, where it has any, is as it was.

// Format implements [fmt.Formatter].
func (*Keys) Format(f fmt.State, _ rune) { io.WriteString(f, "token.Keys(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (*Keys) LogValue() slog.Value { return slog.StringValue("token.Keys(***)") }

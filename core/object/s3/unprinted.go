package s3

import (
	"fmt"
	"io"
	"log/slog"
)

// Options have a secret in them. Logs and texts show their name alone, whatever the
// verb, and whatever they are part of.

// Format implements [fmt.Formatter].
func (Options) Format(f fmt.State, _ rune) { io.WriteString(f, "s3.Options(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (Options) LogValue() slog.Value { return slog.StringValue("s3.Options(***)") }

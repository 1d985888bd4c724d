package wire

import (
	"fmt"
	"io"
	"log/slog"
)

// What follows has a secret in it. Logs and texts show its name alone, whatever
// the verb, and whatever it is part of; JSON is as it was.

// Format implements [fmt.Formatter].
func (APIKeyCreated) Format(f fmt.State, _ rune) { io.WriteString(f, "wire.APIKeyCreated(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (APIKeyCreated) LogValue() slog.Value { return slog.StringValue("wire.APIKeyCreated(***)") }

// Format implements [fmt.Formatter].
func (WebhookAck) Format(f fmt.State, _ rune) { io.WriteString(f, "wire.WebhookAck(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (WebhookAck) LogValue() slog.Value { return slog.StringValue("wire.WebhookAck(***)") }

package store

import (
	"fmt"
	"io"
	"log/slog"
)

// What follows has a secret in it. Logs and texts show its name alone, whatever
// the verb, and whatever it is part of; JSON, where it has any, is as it was.

// Format implements [fmt.Formatter].
func (Invite) Format(f fmt.State, _ rune) { io.WriteString(f, "store.Invite(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (Invite) LogValue() slog.Value { return slog.StringValue("store.Invite(***)") }

// Format implements [fmt.Formatter].
func (Webhook) Format(f fmt.State, _ rune) { io.WriteString(f, "store.Webhook(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (Webhook) LogValue() slog.Value { return slog.StringValue("store.Webhook(***)") }

// Format implements [fmt.Formatter].
func (Schedule) Format(f fmt.State, _ rune) { io.WriteString(f, "store.Schedule(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (Schedule) LogValue() slog.Value { return slog.StringValue("store.Schedule(***)") }

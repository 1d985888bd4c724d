package admin

import (
	"fmt"
	"io"
	"log/slog"
)

// What follows has a secret in it. Logs and texts show its name alone, whatever
// the verb, and whatever it is part of; JSON, where it has any, is as it was.

// Format implements [fmt.Formatter].
func (Invite) Format(f fmt.State, _ rune) { io.WriteString(f, "admin.Invite(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (Invite) LogValue() slog.Value { return slog.StringValue("admin.Invite(***)") }

// Format implements [fmt.Formatter].
func (NewToken) Format(f fmt.State, _ rune) { io.WriteString(f, "admin.NewToken(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (NewToken) LogValue() slog.Value { return slog.StringValue("admin.NewToken(***)") }

// Format implements [fmt.Formatter].
func (NewMember) Format(f fmt.State, _ rune) { io.WriteString(f, "admin.NewMember(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (NewMember) LogValue() slog.Value { return slog.StringValue("admin.NewMember(***)") }

// Format implements [fmt.Formatter].
func (NewMesh) Format(f fmt.State, _ rune) { io.WriteString(f, "admin.NewMesh(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (NewMesh) LogValue() slog.Value { return slog.StringValue("admin.NewMesh(***)") }

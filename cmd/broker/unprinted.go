package main

import (
	"fmt"
	"io"
	"log/slog"
)

// What follows has a secret in it. Logs and texts show its name alone, whatever
// the verb, and whatever it is part of; JSON, where it has any, is as it was.

// Format implements [fmt.Formatter].
func (*broker) Format(f fmt.State, _ rune) { io.WriteString(f, "main.broker(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (*broker) LogValue() slog.Value { return slog.StringValue("main.broker(***)") }

// Format implements [fmt.Formatter].
func (consoleAccess) Format(f fmt.State, _ rune) { io.WriteString(f, "main.consoleAccess(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (consoleAccess) LogValue() slog.Value { return slog.StringValue("main.consoleAccess(***)") }

// Format implements [fmt.Formatter].
func (memberFile) Format(f fmt.State, _ rune) { io.WriteString(f, "main.memberFile(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (memberFile) LogValue() slog.Value { return slog.StringValue("main.memberFile(***)") }

// Format implements [fmt.Formatter].
func (membership) Format(f fmt.State, _ rune) { io.WriteString(f, "main.membership(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (membership) LogValue() slog.Value { return slog.StringValue("main.membership(***)") }

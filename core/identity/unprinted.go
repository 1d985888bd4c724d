package identity

import (
	"fmt"
	"io"
	"log/slog"
)

// What follows has a secret in it. Logs and texts show its name alone, whatever
// the verb, and whatever it is part of; JSON, where it has any, is as it was.

// Format implements [fmt.Formatter].
func (*AtRest) Format(f fmt.State, _ rune) { io.WriteString(f, "identity.AtRest(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (*AtRest) LogValue() slog.Value { return slog.StringValue("identity.AtRest(***)") }

// Format implements [fmt.Formatter].
func (ClaimProof) Format(f fmt.State, _ rune) { io.WriteString(f, "identity.ClaimProof(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (ClaimProof) LogValue() slog.Value { return slog.StringValue("identity.ClaimProof(***)") }

// Format implements [fmt.Formatter].
func (InviteV1) Format(f fmt.State, _ rune) { io.WriteString(f, "identity.InviteV1(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (InviteV1) LogValue() slog.Value { return slog.StringValue("identity.InviteV1(***)") }

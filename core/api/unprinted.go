package api

import (
	"fmt"
	"io"
	"log/slog"
)

// What follows has a secret in it. Logs and texts show its name alone, whatever
// the verb, and whatever it is part of; JSON, where it has any, is as it was.

// Format implements [fmt.Formatter].
func (ClaimInvite) Format(f fmt.State, _ rune) { io.WriteString(f, "api.ClaimInvite(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (ClaimInvite) LogValue() slog.Value { return slog.StringValue("api.ClaimInvite(***)") }

// Format implements [fmt.Formatter].
func (InviteCreated) Format(f fmt.State, _ rune) { io.WriteString(f, "api.InviteCreated(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (InviteCreated) LogValue() slog.Value { return slog.StringValue("api.InviteCreated(***)") }

// Format implements [fmt.Formatter].
func (ListedInvite) Format(f fmt.State, _ rune) { io.WriteString(f, "api.ListedInvite(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (ListedInvite) LogValue() slog.Value { return slog.StringValue("api.ListedInvite(***)") }

// Format implements [fmt.Formatter].
func (Join) Format(f fmt.State, _ rune) { io.WriteString(f, "api.Join(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (Join) LogValue() slog.Value { return slog.StringValue("api.Join(***)") }

// Format implements [fmt.Formatter].
func (ResolveCode) Format(f fmt.State, _ rune) { io.WriteString(f, "api.ResolveCode(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (ResolveCode) LogValue() slog.Value { return slog.StringValue("api.ResolveCode(***)") }

// Format implements [fmt.Formatter].
func (OpenLink) Format(f fmt.State, _ rune) { io.WriteString(f, "api.OpenLink(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (OpenLink) LogValue() slog.Value { return slog.StringValue("api.OpenLink(***)") }

// Format implements [fmt.Formatter].
func (CodeResolved) Format(f fmt.State, _ rune) { io.WriteString(f, "api.CodeResolved(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (CodeResolved) LogValue() slog.Value { return slog.StringValue("api.CodeResolved(***)") }

// Format implements [fmt.Formatter].
func (PollSignIn) Format(f fmt.State, _ rune) { io.WriteString(f, "api.PollSignIn(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (PollSignIn) LogValue() slog.Value { return slog.StringValue("api.PollSignIn(***)") }

// Format implements [fmt.Formatter].
func (SignInState) Format(f fmt.State, _ rune) { io.WriteString(f, "api.SignInState(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (SignInState) LogValue() slog.Value { return slog.StringValue("api.SignInState(***)") }

// Format implements [fmt.Formatter].
func (SignInBegun) Format(f fmt.State, _ rune) { io.WriteString(f, "api.SignInBegun(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (SignInBegun) LogValue() slog.Value { return slog.StringValue("api.SignInBegun(***)") }

// Format implements [fmt.Formatter].
func (ApproveSignIn) Format(f fmt.State, _ rune) { io.WriteString(f, "api.ApproveSignIn(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (ApproveSignIn) LogValue() slog.Value { return slog.StringValue("api.ApproveSignIn(***)") }

// Format implements [fmt.Formatter].
func (SyncMeshes) Format(f fmt.State, _ rune) { io.WriteString(f, "api.SyncMeshes(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (SyncMeshes) LogValue() slog.Value { return slog.StringValue("api.SyncMeshes(***)") }

// Format implements [fmt.Formatter].
func (RevokeSession) Format(f fmt.State, _ rune) { io.WriteString(f, "api.RevokeSession(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (RevokeSession) LogValue() slog.Value { return slog.StringValue("api.RevokeSession(***)") }

// Format implements [fmt.Formatter].
func (MakeToken) Format(f fmt.State, _ rune) { io.WriteString(f, "api.MakeToken(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (MakeToken) LogValue() slog.Value { return slog.StringValue("api.MakeToken(***)") }

// Format implements [fmt.Formatter].
func (MadeToken) Format(f fmt.State, _ rune) { io.WriteString(f, "api.MadeToken(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (MadeToken) LogValue() slog.Value { return slog.StringValue("api.MadeToken(***)") }

// Format implements [fmt.Formatter].
func (Webhook) Format(f fmt.State, _ rune) { io.WriteString(f, "api.Webhook(***)") } //nolint:errcheck // fmt ignores it too

// LogValue implements [slog.LogValuer].
func (Webhook) LogValue() slog.Value { return slog.StringValue("api.Webhook(***)") }

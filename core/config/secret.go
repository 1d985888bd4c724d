package config

import (
	"fmt"
	"io"
	"log/slog"
)

// masked is what a secret shows instead of itself.
const masked = "***"

// Secret is text that no log, dump or error shows. Only [Secret.Reveal], and a
// conversion to string, give it away.
//
// Two doors stay open, because fmt calls no method there: an unexported field
// that holds a Secret, and the verbs %p and %w, which go vet refuses for text.
type Secret string

// Reveal returns the text itself.
func (s Secret) Reveal() string { return string(s) }

// String returns a mask, or nothing when there is no secret: whether one is
// set is no secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// GoString is what %#v prints.
func (s Secret) GoString() string { return fmt.Sprintf("config.Secret(%q)", s.String()) }

// Format covers every verb. Without it, a verb that does not fit a string,
// such as %d, would print the text itself inside its complaint.
func (s Secret) Format(f fmt.State, verb rune) {
	switch {
	case verb == 'v' && f.Flag('#'):
		io.WriteString(f, s.GoString()) //nolint:errcheck // fmt ignores it too
	case verb == 'q':
		fmt.Fprintf(f, "%q", s.String())
	default:
		io.WriteString(f, s.String()) //nolint:errcheck // fmt ignores it too
	}
}

// MarshalText masks the secret in JSON, YAML and whatever else asks for text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue masks the secret in structured logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

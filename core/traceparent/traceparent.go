// Package traceparent reads and writes the trace context of the W3C as it travels
// with messages and requests, such as
//
//	00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
//
// which are the version, the ids of the trace and of the span, and flags
// (https://www.w3.org/TR/trace-context/#traceparent-header).
package traceparent

import "encoding/hex"

const (
	// Size is the length of version 00. Later versions begin alike.
	Size = 55

	// MaxSize is the most bytes of a later version.
	MaxSize = 128
)

// Context is what a traceparent says.
type Context struct {
	TraceID [16]byte
	SpanID  [8]byte
	Sampled bool // its sender traces
}

// Checked returns a text that is a traceparent, and "" for any other: it goes to
// stages, plugins and recipients as it is, and comes from whoever can send a
// header. It does not look at what the ids are.
func Checked(text string) string {
	if len(text) < Size || len(text) > MaxSize || len(text) > Size && text[Size] != '-' {
		return ""
	}
	for i := range len(text) {
		c := text[i]
		switch {
		case i == 2 || i == 35 || i == 52:
			if c != '-' {
				return ""
			}
		case i >= Size:
			if c < ' ' || c > '~' {
				return ""
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return ""
		}
	}
	return text
}

// Parse reads a text that [Checked] has let through. It reports false for one that
// joins no trace: an empty one, version ff, or an id that is zero.
func Parse(text string) (c Context, ok bool) {
	if len(text) < Size || text[:2] == "ff" {
		return Context{}, false
	}
	var flags [1]byte
	decode := func(dst []byte, src string) bool {
		_, err := hex.Decode(dst, []byte(src))
		return err == nil
	}
	if !decode(c.TraceID[:], text[3:35]) || !decode(c.SpanID[:], text[36:52]) || !decode(flags[:], text[53:Size]) {
		return Context{}, false
	}
	c.Sampled = flags[0]&1 == 1
	return c, c.TraceID != [16]byte{} && c.SpanID != [8]byte{}
}

// Sampled reports whether a text that [Checked] has let through says that its
// sender traces. It looks at one digit: the flag is the last bit of the flags.
func Sampled(text string) bool {
	if len(text) < Size {
		return false
	}
	c := text[Size-1]
	if c >= 'a' {
		c -= 'a' - 10
	}
	return c&1 == 1
}

// String returns the text, of version 00.
func (c Context) String() string {
	b := make([]byte, 0, Size)
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, c.TraceID[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, c.SpanID[:])
	if c.Sampled {
		return string(append(b, "-01"...))
	}
	return string(append(b, "-00"...))
}

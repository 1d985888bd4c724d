package wire

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/claudemesh/broker/sdk"
)

// DecodeError says why a frame cannot be read, in words for whoever sent it.
type DecodeError struct {
	Code    sdk.Reason // malformed: no frame at all; invalid: one field is wrong
	Field   string     // path of the field, like groups[0].name; empty with malformed
	Message string     // names the field and what is wanted; at most 200 bytes
	Missing bool       // the field is required, and was not there
}

// Error returns the message.
func (e *DecodeError) Error() string { return e.Message }

// invalid is the error of one field.
func invalid(field, want string) *DecodeError {
	return &DecodeError{Code: sdk.ReasonInvalid, Field: field, Message: clip(field+": "+want, maxMessage)}
}

// malformed is the error of a frame that has no fields to speak of.
func malformed(message string) *DecodeError {
	return &DecodeError{Code: sdk.ReasonMalformed, Message: clip(message, maxMessage)}
}

func notObject(frame []byte) *DecodeError {
	if len(frame) == 0 {
		return malformed("empty frame: want a JSON object")
	}
	return malformed("want a JSON object")
}

func notJSON(offset int) *DecodeError {
	return malformed("not valid JSON at byte " + strconv.Itoa(offset))
}

func tooDeep() *DecodeError {
	return malformed("nested too deep: at most 32 objects and lists inside one another")
}

func duplicate(name string) *DecodeError {
	return malformed("the name " + quoted(name) + " comes twice in one object")
}

// quoted makes input fit for a message: short, printable, in quotes.
func quoted(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, clip(s, maxQuoted))
	return "\"" + s + "\""
}

// clip cuts s to at most n bytes without cutting a character in two.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	const mark = "…"
	n -= len(mark)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + mark
}

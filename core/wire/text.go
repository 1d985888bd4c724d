package wire

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Patterns for [isPlain], one byte eight times.
const (
	ones      = 0x0101010101010101
	highBits  = 0x80 * ones
	spaces    = 0x20 * ones
	quotes    = '"' * ones
	backslash = '\\' * ones
)

// isPlain reports whether a text is its own JSON form: ASCII without quotes,
// backslashes and control characters. Keys, ids and base64 are.
//
// It looks at eight bytes at a time. Subtracting n from each byte sets the high
// bit of those below n; bytes that had it set before are caught by the first
// term.
func isPlain[T string | []byte](s T) bool {
	for len(s) >= 8 {
		w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		bad := w | (w - spaces) | ((w ^ quotes) - ones) | ((w ^ backslash) - ones)
		if bad&highBits != 0 {
			return false
		}
		s = s[8:]
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x80 || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// appendString appends s as a JSON string. Bytes that are no UTF-8 become
// U+FFFD, since a text frame with them would cost the reader its connection.
func appendString(dst []byte, s string) []byte {
	if isPlain(s) {
		dst = append(dst, '"')
		dst = append(dst, s...)
		return append(dst, '"')
	}
	dst, _ = jsontext.AppendQuote(dst, s) // the only error is invalid UTF-8, replaced by then
	return dst
}

// appendOptional appends key and s when there is an s.
func appendOptional(dst []byte, key, s string) []byte {
	if s == "" {
		return dst
	}
	return appendString(append(dst, key...), s)
}

// timeLayout is ISO 8601 in UTC with exactly three decimals, as JavaScript
// prints dates.
const timeLayout = "2006-01-02T15:04:05.000Z"

// AppendTime appends t, without quotes, in the only form in which times travel:
// ISO 8601, UTC, three decimals (cut, not rounded), Z. It is what
// [time.Time.AppendFormat] gives, at a fifth of the time; every push has one.
func AppendTime(dst []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(dst, timeLayout)
	}
	hour, minute, second := t.Clock()
	millis := t.Nanosecond() / int(time.Millisecond)
	dst = appendTwo(dst, year/100)
	dst = appendTwo(dst, year%100)
	dst = appendTwo(append(dst, '-'), int(month))
	dst = appendTwo(append(dst, '-'), day)
	dst = appendTwo(append(dst, 'T'), hour)
	dst = appendTwo(append(dst, ':'), minute)
	dst = appendTwo(append(dst, ':'), second)
	dst = append(dst, '.', '0'+byte(millis/100))
	dst = appendTwo(dst, millis%100)
	return append(dst, 'Z')
}

// appendTwo appends a number below 100 as two digits.
func appendTwo(dst []byte, n int) []byte {
	return append(dst, '0'+byte(n/10), '0'+byte(n%10))
}

func appendQuotedTime(dst []byte, t time.Time) []byte {
	dst = append(dst, '"')
	dst = AppendTime(dst, t)
	return append(dst, '"')
}

package identity

import (
	"math"
	"strconv"
	"time"
)

// millis is a time in milliseconds since 1970, a double like JavaScript's, so
// fractions are kept and integers beyond 2^53 are rounded.
type millis float64

// parseMillis reads the token of a JSON number. It refuses every other token,
// and numbers too large for a double.
func parseMillis(token []byte) (millis, bool) {
	if !isNumber(token) {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(token), 64)
	if err != nil {
		return 0, false
	}
	return millis(f), true
}

// isNumber reports whether the token follows JSON's grammar for numbers, which
// is narrower than what strconv reads (no hex, no sign +, no bare point).
func isNumber(t []byte) bool {
	if len(t) > 0 && t[0] == '-' {
		t = t[1:]
	}
	whole := digits(t)
	if whole == 0 || whole > 1 && t[0] == '0' {
		return false
	}
	t = t[whole:]
	if len(t) > 0 && t[0] == '.' {
		n := digits(t[1:])
		if n == 0 {
			return false
		}
		t = t[1+n:]
	}
	if len(t) > 0 && (t[0] == 'e' || t[0] == 'E') {
		t = t[1:]
		if len(t) > 0 && (t[0] == '+' || t[0] == '-') {
			t = t[1:]
		}
		n := digits(t)
		if n == 0 {
			return false
		}
		t = t[n:]
	}
	return len(t) == 0
}

// digits counts the decimal digits at the front of t.
func digits(t []byte) int {
	n := 0
	for n < len(t) && '0' <= t[n] && t[n] <= '9' {
		n++
	}
	return n
}

// near reports whether m is at most [MaxSkew] from now, either way. Our side of
// the comparison is cut to whole milliseconds.
func (m millis) near(now time.Time) bool {
	return math.Abs(float64(now.UnixMilli())-float64(m)) <= float64(MaxSkew.Milliseconds())
}

// appendTo prints m as JavaScript prints a number. Plain notation is right from
// 1e-6 up to below 1e21, and only times that passed a clock check are printed.
func (m millis) appendTo(dst []byte) []byte {
	return strconv.AppendFloat(dst, float64(m)+0, 'f', -1, 64) // +0 turns -0 into 0
}

// millisToken is the JSON token of t, in whole milliseconds.
func millisToken(t time.Time) []byte {
	return strconv.AppendInt(nil, t.UnixMilli(), 10)
}

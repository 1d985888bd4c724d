package console

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// unknown stands for a number that is not there yet.
const unknown = "–"

// count writes a whole number with commas.
func count[N int | int64 | uint64](n N) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// rate writes what happens in a second, as exact as a reader can use.
func rate(r float64) string {
	switch {
	case r < 0:
		return unknown
	case r == 0:
		return "0"
	case r < 0.05:
		return "<0.1"
	case r < 9.95:
		return strconv.FormatFloat(r, 'f', 1, 64)
	default:
		return count(int64(math.Round(r)))
	}
}

// percent writes a part of one core.
func percent(part float64) string {
	if part < 0 {
		return unknown
	}
	return strconv.FormatFloat(part*100, 'f', 1, 64) + " %"
}

// size writes bytes.
func size(n uint64) string {
	switch {
	case n == 0:
		return unknown
	case n < 1<<20:
		return count(n>>10) + " KiB"
	case n < 10<<30:
		return count(n>>20) + " MiB"
	default:
		return count(n>>30) + " GiB"
	}
}

// length writes a time that something takes.
func length(d time.Duration) string {
	for _, u := range []struct {
		of   time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}} {
		if d >= u.of {
			n := strconv.FormatFloat(float64(d)/float64(u.of), 'f', 1, 64)
			return strings.TrimSuffix(n, ".0") + " " + u.name
		}
	}
	return strconv.FormatInt(int64(d), 10) + " ns"
}

// short cuts an id to what tells it from its neighbours.
func short(id string) string {
	const most = 8
	if len(id) <= most+1 {
		return id
	}
	return id[:most] + "…"
}

// anchor makes an id of the page of any text: two texts never have the same.
func anchor(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	return b.String()
}

// plural writes a number with its noun.
func plural[N int | int64 | uint64](n N, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + more
}

// curve returns the points of a line, oldest left, in a box of 60 by 20; nothing
// for fewer than two, or when nothing happened.
func curve(values []float64) string {
	top := 0.0
	for _, v := range values {
		top = max(top, v)
	}
	if top == 0 || len(values) < 2 {
		return ""
	}
	var b []byte
	for i, v := range values {
		if i > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendInt(b, int64(maxPoints-len(values)+i+1), 10)
		b = strconv.AppendFloat(append(b, ','), 19-18*v/top, 'f', 1, 64)
	}
	return string(b)
}

package adopt

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

// record is one row, every value as text.
type record struct {
	place  map[string]int
	values []*string
}

// get returns a value, and whether there is one: NULL and a missing column are
// none.
func (r record) get(column string) (string, bool) {
	i, ok := r.place[column]
	if !ok || r.values[i] == nil {
		return "", false
	}
	return *r.values[i], true
}

// text returns a value, "" for none.
func (r record) text(column string) string {
	v, _ := r.get(column)
	return v
}

// whole returns a whole number, or what stands for none.
func (r record) whole(column string, none int64) (int64, error) {
	v, ok := r.get(column)
	if !ok {
		return none, nil
	}
	return strconv.ParseInt(v, 10, 64)
}

// timeLayout is how the database prints times in UTC, with the zone where the
// column has one.
const timeLayout = "2006-01-02 15:04:05.999999999"

// never is later than everything that the broker looks at.
var never = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

var errTime = errors.New("not a time between the years 1970 and 9999")

// time returns a time in whole milliseconds, zero for none.
func (r record) time(column string) (time.Time, error) {
	v, ok := r.get(column)
	switch {
	case !ok:
		return time.Time{}, nil
	case v == "infinity":
		return never, nil
	}
	t, err := time.Parse(timeLayout, strings.TrimSuffix(v, "+00"))
	if err != nil || t.UnixMilli() <= 0 {
		return time.Time{}, errTime
	}
	return t.Truncate(time.Millisecond), nil
}

// timeOr returns a time, or another one where there is none that can be read.
func (r record) timeOr(column string, other time.Time) time.Time {
	t, err := r.time(column)
	if err != nil || t.IsZero() {
		return other
	}
	return t
}

// since returns when something ended that ends for good. A time that cannot be
// read is now: it has ended.
func (r record) since(column string, now time.Time) time.Time {
	if _, ok := r.get(column); !ok {
		return time.Time{}
	}
	if t := r.timeOr(column, now); t.Before(now) {
		return t
	}
	return now
}

// json reads a value into v and reports whether it fits; none leaves v alone.
func (r record) json(column string, v any) bool {
	text, ok := r.get(column)
	return !ok || json.Unmarshal([]byte(text), v) == nil
}

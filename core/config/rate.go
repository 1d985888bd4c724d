package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxRate is the largest count of a [Rate]; more than this cannot be told from
// no limit.
const maxRate = 1_000_000_000

// Rate is a number of events in a unit of time, written "5/s", "60/min" or
// "1000/h". The zero Rate allows nothing; text never gives it.
type Rate struct {
	Count int
	Per   time.Duration // a second, a minute or an hour
}

// ParseRate reads "5/s", "60/min" or "1000/h".
func ParseRate(text string) (Rate, error) {
	wrong := fmt.Errorf("must be a rate such as 5/s, 60/min or 1000/h; got %s", show(text))
	count, unit, ok := strings.Cut(text, "/")
	if !ok {
		return Rate{}, wrong
	}
	n, err := strconv.ParseUint(count, 10, 32)
	if err != nil || n > maxRate {
		return Rate{}, wrong
	}
	if n == 0 {
		return Rate{}, fmt.Errorf("must be at least 1 in its time; got %s", show(text))
	}
	switch unit {
	case "s":
		return Rate{int(n), time.Second}, nil
	case "min":
		return Rate{int(n), time.Minute}, nil
	case "h":
		return Rate{int(n), time.Hour}, nil
	}
	return Rate{}, wrong
}

// PerSecond returns the rate as events a second.
func (r Rate) PerSecond() float64 {
	if r.Per <= 0 {
		return 0
	}
	return float64(r.Count) / r.Per.Seconds()
}

// String returns the form that [ParseRate] reads.
func (r Rate) String() string {
	count := strconv.Itoa(r.Count)
	switch r.Per {
	case time.Second:
		return count + "/s"
	case time.Minute:
		return count + "/min"
	case time.Hour:
		return count + "/h"
	default:
		return count + "/" + r.Per.String()
	}
}

// MarshalText gives the form that [ParseRate] reads.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what [ParseRate] reads.
func (r *Rate) UnmarshalText(text []byte) error {
	parsed, err := ParseRate(string(text))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}

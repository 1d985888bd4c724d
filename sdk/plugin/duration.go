package plugin

import (
	"fmt"
	"time"
)

// Duration is a length of time among options, written as "50ms" or "1h30m".
type Duration time.Duration

// String returns the duration as time.Duration writes it.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText gives the form of [Duration.String].
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf(`%q is no duration; write it as "50ms", "2s" or "1h30m"`, text)
	}
	*d = Duration(parsed)
	return nil
}

package config

import "fmt"

// Limit is a rate or none.
type Limit struct{ Rate Rate }

// off is how no limit is written.
const off = "off"

// Off reports whether there is no limit.
func (l Limit) Off() bool { return l.Rate == Rate{} }

// String returns the form that a config has.
func (l Limit) String() string {
	if l.Off() {
		return off
	}
	return l.Rate.String()
}

// MarshalText gives the form that a config has.
func (l Limit) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads a rate, or "off".
func (l *Limit) UnmarshalText(text []byte) error {
	if string(text) == off {
		*l = Limit{}
		return nil
	}
	rate, err := ParseRate(string(text))
	if err != nil {
		return fmt.Errorf("%w, or off", err)
	}
	l.Rate = rate
	return nil
}

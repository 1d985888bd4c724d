package ratelimit

import (
	"fmt"

	"github.com/claudemesh/broker/core/config"
)

// Options are the stage's options, also where it is served as a plugin, which
// reads them as JSON.
type Options struct {
	Send          Limit `koanf:"send" json:"send" doc:"messages of one member, of all its sessions together: a rate such as 60/min, or off. What is refused does not count"`
	Burst         int   `koanf:"burst" json:"burst" limit:"1..1000000" doc:"messages that may come at once after a pause"`
	Requests      Limit `koanf:"requests" json:"requests" doc:"everything else that a member asks for after its hello, but for client_ack: a rate such as 600/min, or off"`
	RequestsBurst int   `koanf:"requests_burst" json:"requests_burst" limit:"0..1000000" doc:"requests that may come at once after a pause. 0: as many as the rate allows in ten seconds, and at least 10"`
}

// DefaultOptions are the options of a link without any: the limits of the
// original broker, which limits messages and nothing else.
func DefaultOptions() Options {
	send, _ := config.ParseRate("60/min")
	return Options{Send: Limit{send}, Burst: 10}
}

// Validate returns what is wrong with the options.
func (o Options) Validate() error {
	if o.Burst < 1 || o.RequestsBurst < 0 {
		return fmt.Errorf("a burst below 1 lets nothing through: burst is %d, requests_burst %d", o.Burst, o.RequestsBurst)
	}
	return nil
}

// Limit is a rate or none.
type Limit struct{ Rate config.Rate }

// off is how no limit is written.
const off = "off"

// Off reports whether there is no limit.
func (l Limit) Off() bool { return l.Rate == config.Rate{} }

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
	rate, err := config.ParseRate(string(text))
	if err != nil {
		return fmt.Errorf("%w, or off", err)
	}
	l.Rate = rate
	return nil
}

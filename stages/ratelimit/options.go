package ratelimit

import (
	"fmt"

	"github.com/claudemesh/broker/core/config"
)

// Options are the stage's options, also where it is served as a plugin, which
// reads them as JSON.
type Options struct {
	Send          config.Limit `koanf:"send" json:"send" doc:"messages of one member, of all its sessions together: a rate such as 60/min, or off. What is refused does not count"`
	Burst         int          `koanf:"burst" json:"burst" limit:"1..1000000" doc:"messages that may come at once after a pause"`
	Requests      config.Limit `koanf:"requests" json:"requests" doc:"everything else that a member asks for after its hello, but for client_ack: a rate such as 600/min, or off"`
	RequestsBurst int          `koanf:"requests_burst" json:"requests_burst" limit:"0..1000000" doc:"requests that may come at once after a pause. 0: as many as the rate allows in ten seconds, and at least 10"`
}

// DefaultOptions are the options of a link without any: the limits of the
// original broker, which limits messages and nothing else.
func DefaultOptions() Options {
	send, _ := config.ParseRate("60/min")
	return Options{Send: config.Limit{Rate: send}, Burst: 10}
}

// Validate returns what is wrong with the options.
func (o Options) Validate() error {
	if o.Burst < 1 || o.RequestsBurst < 0 {
		return fmt.Errorf("a burst below 1 lets nothing through: burst is %d, requests_burst %d", o.Burst, o.RequestsBurst)
	}
	return nil
}
